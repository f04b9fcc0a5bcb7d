"""Where a session computed and in what, one file a framework."""
