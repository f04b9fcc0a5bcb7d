#!/bin/sh
# One {{ unit }} to the server, by curl: as JSON, which every server of the Open Inference Protocol reads, then in binary,
# which Triton reads{% if binary_share > 1 %} and which is {{ binary_share }} times smaller{% endif %}. Usage: sh infer.sh [http://127.0.0.1:8000]
set -eu
server="${1:-http://127.0.0.1:8000}"
here="$(dirname "$0")"
curl --fail --silent --show-error --header 'Content-Type: application/json' \
    --data-binary "@$here/{{ unit }}.json" "$server/v2/models/{{ name }}/infer"
echo
curl --fail --silent --show-error --header 'Content-Type: application/octet-stream' \
    --header 'Inference-Header-Content-Length: {{ header_bytes }}' \
    --data-binary "@$here/{{ unit }}.bin" "$server/v2/models/{{ name }}/infer"
echo
