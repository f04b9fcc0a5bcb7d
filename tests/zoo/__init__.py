"""Real models of other people, each with what is right at its top: `make test-zoo`."""
