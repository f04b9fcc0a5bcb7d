"""The runtimes, one file a framework, behind the protocol of `infer.runtime`."""
