"""Facts about this machine, its hardware and software, and its disturbances."""
