"""Text on the terminal and in sentences, apart from the report."""
