"""The schedule of timing, its limits, and the processes that are timed."""
