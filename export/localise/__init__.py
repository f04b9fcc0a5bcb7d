"""The search for where a wrong file, or a wrong runtime, goes wrong: the node, and a repro of it."""
