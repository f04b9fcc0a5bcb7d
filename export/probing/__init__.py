"""What a user's model is, found by loading and running it."""
