"""Charts, figures and colours."""
