"""What this machine is and has, and what disturbs it."""
