"""The architectures as idiomatic models of each framework, which take and give neutral weights."""
