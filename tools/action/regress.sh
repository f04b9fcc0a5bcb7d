#!/usr/bin/env bash
# Time a model of this checkout and of the base branch in turns, and say how it went.
#
# Needs ASSAY_MODEL, ASSAY_BASE (a branch or commit), ASSAY_THRESHOLD (percent), ASSAY_MINUTES, ASSAY_ARGUMENTS (further
# options of `assay regress`) and of the runner GITHUB_OUTPUT and RUNNER_TEMP. Runs at the top of the checkout, with
# `assay` on the path. Ends as `assay regress` does: 1 is a regression.
set -euo pipefail

out="$RUNNER_TEMP/assay-regress"
comment="$out/comment.md" junit="$out/junit.xml" log="$out/log.txt"
tree=.assay-base
file=${ASSAY_MODEL%%.py:*}
[ "$file" = "$ASSAY_MODEL" ] || file="$file.py"

say() { # verdict, and what was written
  echo "verdict=$1" >>"$GITHUB_OUTPUT"
  [ ! -e "$comment" ] || echo "comment=$comment" >>"$GITHUB_OUTPUT"
  [ ! -e "$junit" ] || echo "junit=$junit" >>"$GITHUB_OUTPUT"
}

fail() { # a message; nothing was compared
  echo "::error::$1"
  printf '### The model could not be compared\n\n````\n%s\n````\n' "${1//\`/\'}" >"$comment"
  say failed
  exit 2
}

mkdir -p "$out"
rm -f "$comment" "$junit"
[ -n "$ASSAY_BASE" ] || fail "There is no base branch: name one with the input 'base', or run on pull_request"
[ -e "$file" ] || fail "There is no $file in this checkout. Is actions/checkout before this step, and is the input 'model' right?"
trap 'git worktree remove --force "$tree" 2>/dev/null || true' EXIT
git fetch --quiet --depth 1 origin "$ASSAY_BASE" || fail "The base $ASSAY_BASE cannot be fetched"
git worktree remove --force "$tree" 2>/dev/null || true
git worktree add --quiet --force --detach "$tree" FETCH_HEAD

if [ ! -e "$tree/$file" ]; then
  printf '### Nothing to compare with\n\nThe base has no `%s`: it is new.\n' "${file//\`/\'}" >"$comment"
  say new
  exit 0
fi

arguments=()
while IFS= read -r word; do
  arguments+=("$word")
done < <([ -z "$ASSAY_ARGUMENTS" ] || xargs -n 1 printf '%s\n' <<<"$ASSAY_ARGUMENTS")
code=0
assay regress "$tree/$ASSAY_MODEL" "$ASSAY_MODEL" --threshold "$ASSAY_THRESHOLD" --minutes "$ASSAY_MINUTES" \
  --markdown "$comment" --junit "$junit" --out "$out" ${arguments[@]+"${arguments[@]}"} 2> >(tee "$log" >&2) || code=$?
case $code in
  0) say passed ;;
  1) if [ ! -e "$comment" ]; then fail "$(tail -n 1 "$log")"; fi
    if grep -q '^### Nothing was compared' "$comment"; then say failed; else say regression; fi ;;
  *) fail "$(tail -n 1 "$log")" ;;
esac
exit "$code"
