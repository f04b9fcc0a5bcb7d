"""What a job that runs somebody else's code may do, as the conductor says it: its box.

A box is held by `assay.boxed.confine` in the job's process before the job begins. `--trust` takes it away.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assay.boxed.box import RULES
from assay.boxed.processes import running

GIB = 1 << 30
FILE_BYTES = 16 * GIB
"""The largest file that a boxed process may write; a larger model needs --trust."""
SPARE_BYTES, BYTES_A_CORE = 16 * GIB, GIB // 2
"""Addresses that frameworks reserve and never use, beside the machine's memory: at rest, and for the threads of a core.
"""
SPARE_PROCESSES, PROCESSES_A_CORE = 4096, 64
"""Processes and threads of a user beyond those that run when a boxed process begins; other boxes count too."""

NAMES = """
PATH HOME USER LOGNAME LANG LANGUAGE TZ TZDIR LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH VIRTUAL_ENV CONDA_PREFIX CC
CXX CPATH LIBRARY_PATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH HF_HOME HF_HUB_CACHE HF_HUB_OFFLINE XDG_CACHE_HOME
TRANSFORMERS_OFFLINE TOKENIZERS_PARALLELISM PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION GRPC_EXPERIMENTS PYTHONPATH
PYTHONHASHSEED PYTHONUTF8 PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONFAULTHANDLER
PYTHONNOUSERSITE PYTHONMALLOC PYTHONWARNINGS
"""
BEGINNINGS = """
LC_ CUDA CUBLAS CUDNN NVIDIA_ NCCL_ HIP_ ROCR_ OMP_ GOMP_ KMP_ MKL_ OPENBLAS_ BLIS_ VECLIB_ NUMEXPR_ ONEDNN_ DNNL_
MALLOC_ XLA_ TF_ TORCH PYTORCH_ TRITON_ JAX_ ORT_ OPENVINO_ OV_ KERAS_ ASSAY_
"""
ALLOWED, ALLOWED_BEGINNINGS = frozenset(NAMES.split()), tuple(BEGINNINGS.split())
TRUSTED = "ASSAY_TRUSTED"
"""Tells a job that its user gave --trust; what anybody else sets under this name is dropped."""
SECRET = re.compile(r"TOKEN(?!IZERS)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE|AUTH|_KEY$|_PAT$")
HELD_BACK = re.compile(
    r"Permission denied|PermissionError|Operation not permitted|File too large|[Cc]an(?:no|')t allocate|MemoryError"
    r"|bad_alloc|out of memory|RESOURCE_EXHAUSTED|unreachable|Connection refused|Name or service|name resolution"
    r"|Resource temporarily|can't start new thread|more than \d+ processes|KeyError|PERMISSION_DENIED|cannot be written"
    r"|[Oo]ffline|[Ff]ailed to open|cannot be opened|SIGXFSZ"
)
REMEDY = (
    "It ran in a box: no network, files written in its own folders alone, limits on memory, files and processes, and "
    "no variables but the usual ones. If you trust the model and it needs more, give --trust"
)


@dataclass(frozen=True)
class Box:
    """What a job that runs somebody else's code may do.

    It gets no variables but those known to be harmless, no network, umask 077, limits on addresses, on the size of a
    file and on processes, and writes below `writable` and its own temporary folder alone; see
    docs/explanation/security.md.

    Attributes:
        writable: folders that take its answers.
        trusted: the user gave --trust: none of this is held.
        told: called, from another thread, with what of it the platform holds, by name; nothing where it is trusted.
    """

    writable: tuple[Path, ...] = ()
    trusted: bool = False
    told: Callable[[dict[str, str]], None] | None = None


def environment_for(box: Box | None, given: Mapping[str, str], own: dict[str, str], scratch: Path) -> dict[str, str]:
    """The environment of a job: its temporary folder in it, and only what is allowed where it is boxed.

    Args:
        given: the conductor's.
        own: what the caller sets for this job.
        scratch: the job's own folder.
    """
    boxed = box is not None and not box.trusted
    kept = {name: value for name, value in given.items() if not boxed or is_allowed(name)}
    places = {name: str(scratch) for name in ("TMPDIR", "TEMP", "TMP")}
    places |= {"TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor")}
    kept.pop(TRUSTED, None)
    if box is not None and box.trusted:
        places[TRUSTED] = "1"
    if boxed:
        kept |= {"HF_HUB_OFFLINE": "1"} | _caches(scratch, kept)
        rules = rules_of(box, (scratch, *_own_caches(own)), uses_cuda=_uses_cuda(kept | own))
        places[RULES] = json.dumps(rules)
    return kept | places | dict(own)


def is_trusted() -> bool:
    """Whether this process is a job of a user who gave --trust."""
    return TRUSTED in os.environ


def is_allowed(name: str) -> bool:
    """Whether a variable goes into a box: a known one, and not one that sounds like a secret."""
    known = name in ALLOWED or name.startswith(ALLOWED_BEGINNINGS)
    return known and (name in ALLOWED or not SECRET.search(name.upper()))


def _caches(scratch: Path, kept: Mapping[str, str]) -> dict[str, str]:
    """The folders where libraries keep what they can make again: they would take the home folder, or a name in /tmp."""
    names = ["MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TRITON_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "CUDA_CACHE_PATH"]
    if not Path(kept.get("HOME", "/"), ".keras", "keras.json").is_file():
        names.append("KERAS_HOME")
    return {name: str(scratch / name.lower()) for name in names if name not in kept or name != "KERAS_HOME"}


def _own_caches(own: Mapping[str, str]) -> list[Path]:
    return [Path(value) for name, value in own.items() if name.endswith("_CACHE_DIR")]


def _uses_cuda(environment: Mapping[str, str]) -> bool:
    """CUDA reserves addresses for all memory there is, the host's and the devices'."""
    return environment.get("CUDA_VISIBLE_DEVICES", "all") not in {"", "-1"} and Path("/dev/nvidiactl").exists()


def rules_of(box: Box | None, further: tuple[Path, ...], *, uses_cuda: bool) -> dict[str, object]:
    """What `assay.boxed.confine.confine` is told."""
    assert box is not None
    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "writable": [str(path.absolute()) for path in (*box.writable, *further)],
        "memory_bytes": 0 if uses_cuda else memory + SPARE_BYTES + cores * BYTES_A_CORE,
        "file_bytes": FILE_BYTES,
        "processes": running() + SPARE_PROCESSES + cores * PROCESSES_A_CORE,
    }


def settle(folder: Path) -> None:
    """Take over a folder that a boxed process has written: nothing in it is a link, a pipe or a device any more, and
    its files can be read by whom the user's other files can be read.
    """
    mask = os.umask(0)
    os.umask(mask)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                if (
                    path.is_symlink()
                    or not (path.is_file() or path.is_dir())
                    or (path.is_file() and status.st_nlink > 1)
                ):
                    path.unlink()
                elif path.is_dir():
                    path.chmod(0o777 & ~mask)
                else:
                    path.chmod(0o666 & ~mask)
