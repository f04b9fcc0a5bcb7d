"""Model files of strangers, looked at before anything in them is loaded."""
