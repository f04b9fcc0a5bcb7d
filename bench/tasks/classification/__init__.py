"""One class a record: the task, how right a cell is, images that change, what is served, and what pages show of it."""
