"""The judge: studies and comparisons, timing, statistics, audit, choice, deployment, report and command line."""
