"""Measurements that apply to classes alone: the part of `assay.bench.tasks.classification` that others build on."""
