"""The calls from Python, `assay.compare`, `assay.audit` and `assay.read`, and their results."""
