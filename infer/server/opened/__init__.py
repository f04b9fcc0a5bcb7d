"""Model files opened as a server has them: one file a library, which imports nothing of ours, and the processes."""
