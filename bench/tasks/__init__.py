"""How answers are judged apart from their numbers: a task is one file and one entry of `assay.registry.TASKS`."""
