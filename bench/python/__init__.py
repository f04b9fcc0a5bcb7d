"""The calls from Python, `assay.compare`, `assay.audit` and `assay.read`, and what they give."""
