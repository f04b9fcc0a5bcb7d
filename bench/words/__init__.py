"""What people read on the terminal and in sentences, apart from the report."""
