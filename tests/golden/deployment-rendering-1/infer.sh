#!/bin/sh
# One image to the server, by curl: as JSON, which every server of the Open Inference Protocol reads, then in binary,
# which Triton reads and which is 4 times smaller. Usage: sh infer.sh [http://127.0.0.1:8000]
set -eu
server="${1:-http://127.0.0.1:8000}"
here="$(dirname "$0")"
curl --fail --silent --show-error --header 'Content-Type: application/json' \
    --data-binary "@$here/image.json" "$server/v2/models/bloodnet-28/infer"
echo
curl --fail --silent --show-error --header 'Content-Type: application/octet-stream' \
    --header 'Inference-Header-Content-Length: 108' \
    --data-binary "@$here/image.bin" "$server/v2/models/bloodnet-28/infer"
echo
