"""The filter in front of the Triton server that `assay serve` starts: it passes what a stranger may send, and nothing
else.

The server listens on unix sockets in a folder that nobody else may enter. This process holds the public ports. An HTTP
request is read whole, checked against the contract of the one model and rewritten, so the server only reads what the
filter wrote. With gRPC the frames are passed on, the headers are rewritten, and a message is checked against the
contract before its last bytes go through. Everything else that the server offers (other models, loading, shared memory
unless requested, logging, traces, streams) has no way in.
"""
