"""The pages of docs/findings from the published records: what is published, and the tables that tell it."""
