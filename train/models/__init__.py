"""The architectures as idiomatic models of each framework, which take and return neutral weights."""
