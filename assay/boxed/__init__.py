"""The limits on a process that runs somebody else's code, and how everything that it started is ended."""
