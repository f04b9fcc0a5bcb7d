"""Whether the tests notice a change in the code that makes decisions: `make mutants`.

`run.py` makes the changes and runs the tests, `modules.toml` lists the modules and their tests, and `equivalent.toml`
lists the changes that make no difference, each with the reason.
"""
