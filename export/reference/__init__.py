"""The outputs that everything is compared with: float64, and each framework's own."""
