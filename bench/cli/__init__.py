"""The command `assay`, one file a subject; `main.py` puts them together."""
