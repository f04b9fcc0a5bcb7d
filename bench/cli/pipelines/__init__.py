"""Commands for pipelines: two versions of a model held against each other, and findings told elsewhere."""
