"""A deployment folder being served, asked and loaded: `assay serve`, `assay verify-server`, `assay load`."""
