"""The command `assay`, with one file for each subject; `main.py` puts them together."""
