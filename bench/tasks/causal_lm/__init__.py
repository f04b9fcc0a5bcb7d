"""Causal language models: the next token, prefill and decode, and text that is followed token by token."""
