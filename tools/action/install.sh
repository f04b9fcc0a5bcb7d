#!/usr/bin/env bash
# Install the Assay that this action is of into an environment of its own, with the versions that it is tested with.
#
# Needs ASSAY_EXTRAS ("torch,openvino" or nothing) and of the runner GITHUB_ACTION_PATH, GITHUB_PATH and RUNNER_TEMP.
set -euo pipefail

environment="$RUNNER_TEMP/assay-environment"
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "::error::Assay needs Python 3.11 or newer, found $(python3 --version 2>&1). Put actions/setup-python before it"
  exit 3
fi
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check \
  --constraint "$GITHUB_ACTION_PATH/constraints.txt" "$GITHUB_ACTION_PATH${ASSAY_EXTRAS:+[$ASSAY_EXTRAS]}"
echo "$environment/bin" >>"$GITHUB_PATH"
