"""Images at a model's decision boundary."""
