#!/usr/bin/env bash
# Show a comparison in the job's summary and under the pull request: one comment for each model, written anew each time.
#
# Needs ASSAY_MODEL, ASSAY_COMMENT (a file), ASSAY_PULL_REQUEST (its number, or nothing for the summary alone), GH_TOKEN,
# and of the runner GITHUB_REPOSITORY, GITHUB_STEP_SUMMARY and RUNNER_TEMP. Never fails for want of a comment: what
# the comparison found is the step before's to say.
set -euo pipefail

marker="<!-- assay regress ${ASSAY_MODEL//[^A-Za-z0-9._:\/-]/-} -->"
body="$RUNNER_TEMP/assay-comment.md"
{ echo "$marker"; cat "$ASSAY_COMMENT"; } >"$body"
cat "$ASSAY_COMMENT" >>"$GITHUB_STEP_SUMMARY"
[ -n "$ASSAY_PULL_REQUEST" ] || exit 0

comments="repos/$GITHUB_REPOSITORY/issues/$ASSAY_PULL_REQUEST/comments"
earlier=$(gh api --paginate "$comments" --jq ".[] | select(.body | startswith(\"$marker\")) | .id" | head -n 1) || earlier=""
if [ -n "$earlier" ] &&
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$earlier" --field "body=@$body"; then
  exit 0
fi
gh pr comment "$ASSAY_PULL_REQUEST" --repo "$GITHUB_REPOSITORY" --body-file "$body" ||
  echo "::warning::The comparison could not be put under the pull request, as where a fork's token may only read. It is in the summary of this job"
