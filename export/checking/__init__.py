"""What an exported file is held against before anybody uses it."""
