"""The sections of the report, and their order."""
