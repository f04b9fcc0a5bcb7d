"""The GPU that a process computes on: its state by NVML, and calls until its clock is steady."""
