#!/bin/sh
# Build an image under the stock Triton's name, for test_containers.py on a machine that cannot pull that one:
#
#   sh tests/bench/serving/stand_in_triton/build.sh
#
# Needs Docker, debootstrap, root, and the environment of make install. Everything is from Debian and PyPI. It shows that
# the generated Dockerfile and Compose file work; of NVIDIA's own ONNX Runtime backend it shows nothing. Where the stock
# image can be pulled, pull that.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

debootstrap --variant=minbase --include=python3,libpython3.11,curl bookworm "$work/debian"
tar -C "$work/debian" -c . | docker import - assay-stand-in-base

cd "$root"
python=$(.venv/bin/python -c 'from assay import toolenv; from assay.infer.server.triton import REQUIREMENTS
print(toolenv.ensure("triton", REQUIREMENTS, lambda *_: None))')
mkdir "$work/context"
cp -r "$(dirname "$python")/../lib/python3.11/site-packages" "$work/context/packages"
cp infer/server/opened/in_triton.py infer/server/opened/on_ort.py "$work/context"
image=$(.venv/bin/python -c 'from assay.infer.server.triton import IMAGE; print(IMAGE)')
docker build --file "$here/Dockerfile" --tag "$image" "$work/context"
echo "Built a stand-in for $image"
