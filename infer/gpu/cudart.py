"""Copies to, from and on a GPU that a framework lacks, by CUDA's own runtime library (CUDA Runtime API, "Memory
Management").
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from assay.errors import InputError

LIBRARIES = ("libcudart.so.13", "libcudart.so.12")
DONE = 0
DEFAULT = 4
"""cudaMemcpyDefault: the kinds of memory follow from the addresses."""


class Cudart:
    """CUDA's runtime library, as the framework in this process has loaded it.

    Raises:
        InputError: it is not there.
    """

    def __init__(self, libraries: Sequence[str] = LIBRARIES) -> None:
        found = next(filter(None, map(_loaded, libraries)), None)
        if found is None:
            raise InputError("CUDA's runtime library is not there", expected=" or ".join(libraries))
        self._library = found
        self._library.cudaMemcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self._library.cudaStreamSynchronize.argtypes = [ctypes.c_void_p]

    def copy(self, to: int, of: int, size: int) -> None:
        """Copy so many bytes between two addresses. A copy on the GPU may still be under way; see `wait`.

        Raises:
            InputError: CUDA refuses.
        """
        self._check(self._library.cudaMemcpy(to, of, size, DEFAULT), "cudaMemcpy")

    def wait(self) -> None:
        """Wait for all copies: the streams of frameworks do not wait for the one that they are on.

        Raises:
            InputError: CUDA refuses.
        """
        self._check(self._library.cudaStreamSynchronize(None), "cudaStreamSynchronize")

    @contextmanager
    def buffers(self, size: int) -> Iterator[tuple[int, int]]:
        """Have two buffers of so many bytes inside the block, by address: page-locked on the host, and on the GPU.

        Raises:
            InputError: CUDA refuses.
        """
        host, gpu = ctypes.c_void_p(), ctypes.c_void_p()
        self._check(self._library.cudaMallocHost(ctypes.byref(host), ctypes.c_size_t(size)), "cudaMallocHost")
        try:
            self._check(self._library.cudaMalloc(ctypes.byref(gpu), ctypes.c_size_t(size)), "cudaMalloc")
            try:
                yield host.value or 0, gpu.value or 0
            finally:
                self._library.cudaFree(gpu)
        finally:
            self._library.cudaFreeHost(host)

    @staticmethod
    def _check(status: int, name: str) -> None:
        if status != DONE:
            raise InputError(f"CUDA refuses {name}", found=f"error {status}")


def _loaded(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
