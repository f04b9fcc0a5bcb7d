"""A process that answers one message and then keeps its processor busy until it is ended."""

from __future__ import annotations

from assay.jobs.serving import open_channel

if __name__ == "__main__":
    channel = open_channel()
    channel.requests.readline()
    channel.send({"spins": True})
    while True:
        pass
