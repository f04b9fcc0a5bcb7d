"""What is measured of classes alone: the part of `assay.bench.tasks.classification` that others stand on."""
