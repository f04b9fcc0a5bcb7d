"""What a process that runs somebody else's code may do, and that nothing of it stays."""
