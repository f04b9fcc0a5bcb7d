"""The runtimes, one file for each framework, behind the protocol of `infer.runtime`."""
