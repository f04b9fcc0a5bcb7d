"""`make gpu-check`: `__main__` runs the steps that `steps` names; `runtimes` has those of a runtime, `card` the GPU's."""
