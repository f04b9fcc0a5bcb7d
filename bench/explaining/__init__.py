"""Why a time is what it is: layers, factors, the roofline. Pure functions."""
