"""How answers are judged beyond their numbers: a task is one file and one entry of `assay.registry.TASKS`."""
