"""The reading of a processor's description of itself, without root: /proc/cpuinfo and sysfs. See
`assay.fingerprint`."""

from __future__ import annotations

import functools
import hashlib
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from assay.fingerprint import Fingerprint

TELLING_FLAGS = (
    "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8",
    "amx_bf16", "asimd", "asimddp", "bf16", "i8mm", "sve",
)  # fmt: skip
OF_THE_KERNEL = frozenset((
    "acc_power", "always", "amd_dcm", "aperfmperf", "arat", "arch_capabilities", "arch_perfmon", "art", "bts", "cat_l2",
    "cat_l3", "cdp_l2", "cdp_l3", "constant_tsc", "cpb", "cpuid", "cpuid_fault", "cqm", "cqm_llc", "cqm_mbm_local",
    "cqm_mbm_total", "cqm_occup_llc", "cxmmx", "debug_swap", "dtherm", "epb", "ept", "ept_ad", "extd_apicid",
    "flexpriority", "flush_l1d", "hfi", "hw_pstate", "ibpb", "ibpb_exit_to_user", "ibrs", "ibrs_enhanced", "ida",
    "intel_ppin", "mba", "md_clear", "msr", "nonstop_tsc", "nonstop_tsc_s3", "nopl", "pebs", "per_thread_mba",
    "perfmon_v2", "pln", "proc_feedback", "pti", "pts", "rapl", "rep_good", "retpoline", "ring3mwait", "sgx_lc",
    "split_lock_detect", "ssb_disable", "ssbd", "stibp", "tpr_shadow", "tsc_known_freq", "tsc_reliable",
    "user_shstk", "vmcall", "vmmcall", "vnmi", "vpid", "xenpv", "xtopology", "zen",
))  # fmt: skip
"""Flags that Linux makes up itself, or that depend on its version and boot options: they say nothing about a
processor.
"""

X86 = {"vendor": "vendor_id", "family": "cpu family", "model": "model", "stepping": "stepping"}
ARM = {"vendor": "CPU implementer", "family": "CPU architecture", "model": "CPU part", "stepping": "CPU revision"}
CPU = "sys/devices/system/cpu/cpu0"
CACHE_KINDS = {"Data": "d", "Instruction": "i"}
Entries = Mapping[str, str]


@functools.cache
def fingerprint() -> Fingerprint:
    """Return this machine's fingerprint."""
    return read_fingerprint(Path("/"))


def read_fingerprint(root: Path) -> Fingerprint:
    """Return the fingerprint that a machine's files give.

    Args:
        root: folder that contains /proc and /sys.
    """
    processors = parse_cpuinfo(shown_in(root / "proc/cpuinfo"))
    first = processors[0] if processors else {}
    names = X86 if X86["vendor"] in first else ARM
    flags = _flags(processors)
    return Fingerprint(
        name=first.get("model name") or first.get("Processor") or platform.processor() or platform.machine(),
        **{what: _each(processors, key) for what, key in names.items()},
        microcode=_each(processors, "microcode") or shown_in(root / CPU / "microcode/version"),
        flags=_hash(flags - OF_THE_KERNEL),
        features=[flag for flag in TELLING_FLAGS if flag in flags],
        caches=_caches(root / CPU / "cache") or ({"cache": first["cache size"]} if "cache size" in first else {}),
        nominal_mhz=_nominal_mhz(root, first),
        most_mhz=_mhz(shown_in(root / CPU / "cpufreq/cpuinfo_max_freq"), per_mhz=1000),
        hypervisor=hypervisor(root, flags),
    )


def parse_cpuinfo(text: str) -> list[dict[str, str]]:
    """Return the entries of every processor in /proc/cpuinfo; ARM gives some of them once for all, at the end."""
    found = []
    for part in re.split(r"\n\s*\n", text.strip()):
        pairs = (line.partition(":") for line in part.splitlines())
        entries = {key.strip(): value.strip() for key, _, value in pairs}
        if entries:
            found.append(entries)
    return found


def hypervisor(root: Path, flags: Iterable[str]) -> str:
    """Return "" where no hypervisor is seen, else "hypervisor", and which one as far as it tells."""
    if "hypervisor" not in flags:
        return ""
    vendor, product = shown_in(root / "sys/class/dmi/id/sys_vendor"), shown_in(root / "sys/class/dmi/id/product_name")
    kind = shown_in(root / "sys/hypervisor/type") or f"{vendor} {product}".strip()
    return f"hypervisor ({kind})" if kind else "hypervisor"


def _flags(processors: Sequence[Entries]) -> set[str]:
    """Return the flags of all processors."""
    return {flag for entries in processors for flag in (entries.get("flags") or entries.get("Features", "")).split()}


def _hash(flags: Iterable[str]) -> str:
    told = " ".join(sorted(flags))
    return hashlib.sha256(told.encode()).hexdigest()[:16] if told else ""


def _each(processors: Sequence[Entries], key: str) -> str:
    return ", ".join(sorted({entries[key] for entries in processors if entries.get(key)}))


def _caches(folder: Path) -> dict[str, str]:
    """Return the sizes of the first core's caches, by name."""
    found = {}
    for index in sorted(folder.glob("index*")):
        level, kind, size = (shown_in(index / name) for name in ("level", "type", "size"))
        if level and size:
            found[f"L{level}{CACHE_KINDS.get(kind, '')}"] = size
    return found


def _nominal_mhz(root: Path, first: Entries) -> float | None:
    """Return the frequency without turbo: from the system, from the name, or from the time stamp counter, in which
    Linux counts delay loops (two a cycle).
    """
    shown = _mhz(shown_in(root / CPU / "cpufreq/base_frequency"), per_mhz=1000)
    shown = shown or _mhz(shown_in(root / CPU / "acpi_cppc/nominal_freq"), per_mhz=1)
    if shown:
        return shown
    named = re.search(r"@ ([0-9.]+)\s*GHz", first.get("model name", ""))
    if named:
        return float(named[1]) * 1000
    counted = first.get("bogomips", "") if "constant_tsc" in first.get("flags", "").split() else ""
    return float(counted) / 2 if re.fullmatch(r"[0-9]+(\.[0-9]+)?", counted) else None


def _mhz(text: str, per_mhz: int) -> float | None:
    return int(text) / per_mhz if text.isdigit() and int(text) else None


def shown_in(path: Path | str) -> str:
    """Return the content of a file of the system; nothing where it has none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
