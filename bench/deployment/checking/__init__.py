"""Whether a deployment folder is what was written, and by whom."""
