"""`make gpu-check`: `__main__` runs what `steps` names; `runtimes` has the step of a runtime, `card` the GPU's own."""
