"""The instrument measured by itself."""
