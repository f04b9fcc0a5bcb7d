"""What a process that runs somebody else's code may do, and how everything it started is ended."""
