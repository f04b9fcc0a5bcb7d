"""Whether the tests notice a change of the code that decides: `make mutants`.

`run.py` makes the changes and runs the tests, `modules.toml` says which modules and which tests, `equivalent.toml`
lists the changes that make no difference, each with the reason.
"""
