"""How far numbers are apart, how far they may be, and who is to blame. Pure functions."""
