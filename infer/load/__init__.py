"""Clients that load a server."""
