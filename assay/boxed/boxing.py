"""The box of a job that runs somebody else's code: what it may do, as the conductor decides it.

`assay.boxed.confine` puts the job's process into its box before the job begins. `--trust` does without the box.
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
from assay.boxed.platform import memory_bytes
from assay.boxed.processes import running

GIB = 1 << 30
FILE_BYTES = 16 * GIB
"""The largest file that a boxed process may write; a larger model needs --trust."""
SPARE_BYTES, BYTES_A_CORE = 16 * GIB, GIB // 2
"""Bytes of addresses that frameworks reserve and never use, in addition to the machine's memory: at rest, and for the
threads of each core.
"""
SPARE_PROCESSES, PROCESSES_A_CORE = 4096, 64
"""Processes and threads that a user may have beyond those that run when a boxed process begins; other boxes count too.
"""

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
"""The variable that tells a job that its user gave --trust; it is dropped where anybody else sets it."""
SECRET = re.compile(r"TOKEN(?!IZERS)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE|AUTH|_KEY$|_PAT$")
HELD_BACK = re.compile(
    r"Permission denied|PermissionError|Operation not permitted|File too large|[Cc]an(?:no|')t allocate|MemoryError"
    r"|bad_alloc|out of memory|RESOURCE_EXHAUSTED|unreachable|Connection refused|Name or service|name resolution"
    r"|Resource temporarily|can't start new thread|more than \d+ processes|KeyError|PERMISSION_DENIED|cannot be written"
    r"|[Oo]ffline|[Ff]ailed to open|cannot be opened|SIGXFSZ"
)
REMEDY = (
    "It ran in a box: no network, writing only to its own folders, limits on memory, files and processes, and "
    "only the usual environment variables. If you trust the model and it needs more, give --trust"
)


@dataclass(frozen=True)
class Box:
    """The limits of a job that runs somebody else's code.

    It gets no variables but those known to be harmless, no network, umask 077, limits on addresses, on the size of a
    file and on processes, and writes below `writable` and its own temporary folder alone; see
    docs/explanation/security.md.

    Attributes:
        writable: folders that take its answers.
        trusted: whether the user gave --trust, so that no limit applies.
        told: called, from another thread, with the limits that the platform enforces, by name; with nothing if trusted.
    """

    writable: tuple[Path, ...] = ()
    trusted: bool = False
    told: Callable[[dict[str, str]], None] | None = None


def environment_for(box: Box | None, given: Mapping[str, str], own: dict[str, str], scratch: Path) -> dict[str, str]:
    """Return the environment of a job, which names its temporary folder and has only allowed variables where it is
    boxed.

    Args:
        given: the conductor's.
        own: variables set by the caller for this job.
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
        rules = _rules_of(box, (scratch, *_own_caches(own)), uses_cuda=_uses_cuda(kept | own))
        places[RULES] = json.dumps(rules)
    return kept | places | dict(own)


def is_trusted() -> bool:
    """Return whether this process is a job of a user who gave --trust."""
    return TRUSTED in os.environ


def is_allowed(name: str) -> bool:
    """Return whether a variable is passed into a box: only known ones are, and none that sounds like a secret."""
    known = name in ALLOWED or name.startswith(ALLOWED_BEGINNINGS)
    return known and (name in ALLOWED or not SECRET.search(name.upper()))


def _caches(scratch: Path, kept: Mapping[str, str]) -> dict[str, str]:
    """Return folders for the caches of libraries, which would otherwise use the home folder, or a fixed name in
    /tmp.
    """
    names = ["MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TRITON_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "CUDA_CACHE_PATH"]
    if not Path(kept.get("HOME", "/"), ".keras", "keras.json").is_file():
        names.append("KERAS_HOME")
    return {name: str(scratch / name.lower()) for name in names if name not in kept or name != "KERAS_HOME"}


def _own_caches(own: Mapping[str, str]) -> list[Path]:
    return [Path(value) for name, value in own.items() if name.endswith("_CACHE_DIR")]


def _uses_cuda(environment: Mapping[str, str]) -> bool:
    """Return whether CUDA will be used: it reserves addresses for all memory, the host's and the devices'."""
    return environment.get("CUDA_VISIBLE_DEVICES", "all") not in {"", "-1"} and Path("/dev/nvidiactl").exists()


def _rules_of(box: Box | None, further: tuple[Path, ...], *, uses_cuda: bool) -> dict[str, object]:
    """Return the rules that `assay.boxed.confine.confine` is given."""
    assert box is not None
    cores = os.cpu_count() or 1
    return {
        "writable": [str(path.absolute()) for path in (*box.writable, *further)],
        "memory_bytes": 0 if uses_cuda else memory_bytes() + SPARE_BYTES + cores * BYTES_A_CORE,
        "file_bytes": FILE_BYTES,
        "processes": running() + SPARE_PROCESSES + cores * PROCESSES_A_CORE,
    }


def settle(folder: Path) -> None:
    """Take over a folder that a boxed process has written: afterwards it holds no link, pipe or device, and its files
    can be read by those who can read the user's other files.
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
