"""Commands for pipelines: two versions of a model compared, and findings sent elsewhere."""
