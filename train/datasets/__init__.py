"""Images and labels, with one file for each source of them."""
