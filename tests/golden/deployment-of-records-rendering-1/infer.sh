#!/bin/sh
# One record to the server, by curl: as JSON, which every server of the Open Inference Protocol reads, then in binary,
# which Triton reads. Usage: sh infer.sh [http://127.0.0.1:8000]
set -eu
server="${1:-http://127.0.0.1:8000}"
here="$(dirname "$0")"
curl --fail --silent --show-error --header 'Content-Type: application/json' \
    --data-binary "@$here/record.json" "$server/v2/models/pair/infer"
echo
curl --fail --silent --show-error --header 'Content-Type: application/octet-stream' \
    --header 'Inference-Header-Content-Length: 269' \
    --data-binary "@$here/record.bin" "$server/v2/models/pair/infer"
echo
