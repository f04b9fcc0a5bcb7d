"""The stages of a study, one file each, in the order of `bench.conductor`."""
