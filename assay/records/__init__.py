"""What is written to disk as a record: one file for each, what they are built on, and what is stale or wrong in one."""
