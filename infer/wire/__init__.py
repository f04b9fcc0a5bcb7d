"""Requests to an inference server of the Open Inference Protocol, in the same way for every transport.

The protocol is KServe's "Open Inference Protocol" (V2): tensors over HTTP or gRPC. Binary tensors over HTTP and shared
memory are Triton's extensions, used where the server says that it has them. tritonclient speaks all of it.
"""

from assay.infer.wire.connections import connect, why_no_shared_memory
from assay.infer.wire.metadata import SHARED_MEMORY, Description, agreed, describe, describe_by_grpc, statistics
from assay.infer.wire.target import WAYS, Answer, Connection, Target, Way

__all__ = [
    "SHARED_MEMORY",
    "WAYS",
    "Answer",
    "Connection",
    "Description",
    "Target",
    "Way",
    "agreed",
    "connect",
    "describe",
    "describe_by_grpc",
    "statistics",
    "why_no_shared_memory",
]
