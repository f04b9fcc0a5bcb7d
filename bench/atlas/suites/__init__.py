"""The test suites that operators come from, each read by one file here and named in `entries`."""
