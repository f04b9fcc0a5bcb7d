"""How answers are judged beyond being numbers: a task is one file and one entry of `assay.registry.TASKS`."""
