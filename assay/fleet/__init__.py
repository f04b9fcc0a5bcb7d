"""Many machines: which kinds of them there are, what an hour of each costs, and what runs on several found together."""
