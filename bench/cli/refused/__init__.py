"""Messages for a command that cannot be read, or fails on its input or on the machine."""
