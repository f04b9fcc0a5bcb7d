"""What a person is told when a command cannot be read, or fails on its input or on the machine."""
