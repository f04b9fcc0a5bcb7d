"""The state of an NVIDIA GPU, from the driver's own library NVML. It is read and never set.

The library comes with the driver, so that this works where nothing is installed. Names, constants and structures are
those of nvml.h (NVML API Reference Manual). A value that the driver does not give is None, which is not zero.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from ctypes import POINTER, Structure, byref, c_char, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass, field

LIBRARY = "libnvidia-ml.so.1"
DONE, TOO_SMALL = 0, 7
SM_CLOCK = 1
ON_THE_CHIP = 0
NAME_BYTES = 96
IDLE = 0x1
REASONS = {
    0x2: "clocks set by an application",
    0x4: "power limit",
    0x8: "hardware slowdown",
    0x10: "synchronised with other GPUs",
    0x20: "temperature limit",
    0x40: "hardware slowdown for temperature",
    0x80: "hardware slowdown for power",
    0x100: "clocks set for a display",
}
"""Bits of nvmlClocksEventReasons, without that of an idle GPU."""
THROTTLED = frozenset({REASONS[bit] for bit in (0x8, 0x20, 0x40, 0x80)})
"""Reasons that say that the GPU protects itself: times depend on what it did before. A limit of power is none of them:
a large product of matrices reaches it on many cards in ordinary work, and what it does shows in the clock.
"""
UNKNOWN_BYTES = 2**64 - 1
"""NVML_VALUE_NOT_AVAILABLE as the memory of a process."""
SPARE_PROCESSES = 8


class _Memory(Structure):
    """See nvmlMemory_t."""

    _fields_ = (("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong))


class _Process(Structure):
    """See nvmlProcessInfo_t of nvmlDeviceGetComputeRunningProcesses_v3."""

    _fields_ = (
        ("pid", c_uint),
        ("used_bytes", c_ulonglong),
        ("gpu_instance", c_uint),
        ("compute_instance", c_uint),
    )


@dataclass(frozen=True)
class GpuState:
    """One moment of a GPU.

    Attributes:
        sm_clock_mhz, most_sm_clock_mhz: clock of its multiprocessors, now and at most.
        celsius: temperature of the chip.
        watts: power of the board.
        held_back: reasons for which the clock is not higher, in words; None where the driver does not say.
        is_idle: whether it is at rest, which lowers the clock too.
        used_mib: memory in use by all processes.
        processes: process ids that compute there, as the driver's name space has them: inside a container, none or
            others than its own.
        process_mib: memory of each process that the driver gives it for.
    """

    sm_clock_mhz: int | None = None
    most_sm_clock_mhz: int | None = None
    celsius: int | None = None
    watts: float | None = None
    held_back: tuple[str, ...] | None = None
    is_idle: bool | None = None
    used_mib: float | None = None
    processes: tuple[int, ...] | None = None
    process_mib: Mapping[int, float] = field(default_factory=dict)


class Gpu:
    """One GPU.

    Attributes:
        name: name of the product.
        driver: version of the driver.
    """

    def __init__(self, library: ctypes.CDLL, handle: c_void_p) -> None:
        self._library, self._handle = library, handle
        name, driver = (c_char * NAME_BYTES)(), (c_char * NAME_BYTES)()
        library.nvmlDeviceGetName(handle, name, c_uint(NAME_BYTES))
        library.nvmlSystemGetDriverVersion(driver, c_uint(NAME_BYTES))
        self.name, self.driver = name.value.decode(errors="replace"), driver.value.decode(errors="replace")

    def state(self) -> GpuState:
        """Return its present state, which takes well below a millisecond."""
        reasons = self._reasons()
        power, memory = self._number("nvmlDeviceGetPowerUsage"), _Memory()
        has_memory = self._ask("nvmlDeviceGetMemoryInfo", byref(memory))
        processes = self._processes()
        return GpuState(
            sm_clock_mhz=self._number("nvmlDeviceGetClockInfo", SM_CLOCK),
            most_sm_clock_mhz=self._number("nvmlDeviceGetMaxClockInfo", SM_CLOCK),
            celsius=self._number("nvmlDeviceGetTemperature", ON_THE_CHIP),
            watts=None if power is None else power / 1000,
            held_back=None if reasons is None else tuple(word for bit, word in REASONS.items() if reasons & bit),
            is_idle=None if reasons is None else bool(reasons & IDLE),
            used_mib=memory.used / 2**20 if has_memory else None,
            processes=None if processes is None else tuple(processes),
            process_mib={pid: used / 2**20 for pid, used in (processes or {}).items() if used != UNKNOWN_BYTES},
        )

    def _ask(self, name: str, *arguments: object) -> bool:
        """Call a function; False where this driver lacks it or this GPU does not support it."""
        function = getattr(self._library, name, None)
        return function is not None and function(self._handle, *arguments) == DONE

    def _number(self, name: str, *which: int) -> int | None:
        found = c_uint()
        return found.value if self._ask(name, *map(c_uint, which), byref(found)) else None

    def _reasons(self) -> int | None:
        """Return the bits under their present name, or under the one that drivers before 535 have."""
        found = c_ulonglong()
        names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
        return found.value if any(self._ask(name, byref(found)) for name in names) else None

    def _processes(self) -> dict[int, int] | None:
        """Return the bytes of each process that computes there."""
        name = "nvmlDeviceGetComputeRunningProcesses_v3"
        function = getattr(self._library, name, None)
        if function is None:
            return None
        count = c_uint(0)
        status = function(self._handle, byref(count), None)
        if status == DONE:
            return {}
        room = count.value + SPARE_PROCESSES  # more may have begun meanwhile
        count, found = c_uint(room), (_Process * room)()
        if status != TOO_SMALL or not self._ask(name, byref(count), found):
            return None
        return {one.pid: one.used_bytes for one in found[: count.value]}


def first_gpu(library: str = LIBRARY) -> Gpu | None:
    """Return the GPU that frameworks take as their first, or None where there is none or no driver.

    Frameworks number GPUs as NVML does only under CUDA_DEVICE_ORDER=PCI_BUS_ID, which workers on a GPU are started
    with (`assay.infer.runtimes.same_for_all`).
    """
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return None
    if nvml.nvmlInit_v2() != DONE:
        return None
    handle, chosen = c_void_p(), os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    nvml.nvmlDeviceGetHandleByIndex_v2.argtypes = [c_uint, POINTER(c_void_p)]
    if chosen.isdecimal():
        status = nvml.nvmlDeviceGetHandleByIndex_v2(int(chosen), byref(handle))
    else:
        status = nvml.nvmlDeviceGetHandleByUUID(chosen.encode(), byref(handle)) if chosen else -1
    return Gpu(nvml, handle) if status == DONE else None
