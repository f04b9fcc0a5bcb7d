"""Who is timed when and for how long, and in which processes."""
