"""What a run found, told to other tools: experiment trackers and model cards. Nothing of it is sent unasked."""
