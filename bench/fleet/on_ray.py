"""Ray as the engine of a fleet: the only file that knows it.

Ray finds the machines, keeps apart what times and what does not, carries files and messages, and notices a machine that
goes away. Its resources are logical: a machine is exclusive as long as everything that runs there asks for some of its
processors, and what asks for none is seen by the machine's lock and by the look for foreign load.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Unpack

import psutil
from pydantic import JsonValue

from assay import __version__
from assay.bench.fleet.machines import LostError, Machine
from assay.bench.fleet.on_machine import machine_folder
from assay.bench.machine.disturbance import Disturbance
from assay.bench.machine.host import LOCAL
from assay.bench.selfcheck.selfcheck import kept_selfcheck
from assay.boxed.boxing import Box
from assay.errors import AssayError, InputError, missing
from assay.fingerprint import Fingerprint
from assay.fleet.kind import identity_in, kind_in
from assay.foreign import said_by
from assay.jobs.host import How, Running
from assay.jobs.job import Message
from assay.jobs.patience import Spent
from assay.store import MANIFEST, file_sha256

OURS = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
"""Variables that Ray sets in its processes, and that decide a time."""
PIECE_BYTES = 64 << 20
THREADS = 8
"""Calls at a time of one host: a process is waited for while another one is ended."""
LOOK_SECONDS, GRACE_SECONDS = 120.0, 120.0
PART = 0.001
"""The part of a machine that ordinary work asks for."""


class FarSide:
    """The far end of a host, in a process of Ray's there. Each call gives its result or the error."""

    def __init__(self) -> None:
        around = psutil.Process(os.getppid()).environ()
        for name in OURS:
            os.environ.pop(name, None)
            if name in around:
                os.environ[name] = around[name]
        self._processes: list[Running] = []

    def about(self) -> tuple[str, dict[str, JsonValue], tuple[int, ...], Fingerprint]:
        return str(machine_folder() / "files"), LOCAL.environment(), LOCAL.cores(), LOCAL.fingerprint()

    def described(self) -> tuple[dict[str, JsonValue], str, bool | None]:
        checked = kept_selfcheck()
        return LOCAL.environment(), __version__, checked.passed if checked else None

    def disturbance(self, cores: Sequence[int]) -> Disturbance:
        return LOCAL.disturbance(cores)

    def start(
        self, module: str, log: str, environment: dict[str, str], python: str | None, box: tuple[list[str], bool] | None
    ) -> tuple[int | None, AssayError | None]:
        boxed = box and Box(tuple(map(Path, box[0])), box[1])
        try:
            process = LOCAL.start(
                module, Path(log), environment=environment, python=Path(python) if python else None, box=boxed or None
            )
        except AssayError as error:
            return None, error
        self._processes.append(process)
        return len(self._processes) - 1, None

    def do(self, number: int, deed: str, *arguments: Any) -> tuple[Any, Exception | None]:
        try:
            return getattr(self._processes[number], deed)(*arguments), None
        except (AssayError, TimeoutError) as error:
            return None, error

    def files(self, path: str) -> dict[str, str]:
        """Return the sha256 of a file or of all files below a folder, by path."""
        return _files(Path(path))

    def make(self, path: str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    def put(self, path: str, piece: bytes, first: bool) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("wb" if first else "ab") as stream:
            stream.write(piece)

    def get(self, path: str, offset: int) -> bytes:
        with Path(path).open("rb") as stream:
            stream.seek(offset)
            return stream.read(PIECE_BYTES)

    def end(self) -> None:
        for process in self._processes:
            process.kill()


class RayProcess:
    """A process on a machine of a cluster."""

    def __init__(self, host: RayHost, module: str, log: Path, number: int) -> None:
        self.module, self._host, self._log, self._number = module, host, log, number

    def send(self, message: Message, limit_seconds: float) -> None:
        """See `assay.jobs.host.Running`."""
        self._do("send", message, limit_seconds)

    def receive(self, limit_seconds: float) -> Message:
        """See `assay.jobs.host.Running`."""
        message: Message = self._do("receive", limit_seconds, seconds=limit_seconds)
        return message

    def explained(self, error: AssayError) -> AssayError:
        """See `assay.jobs.host.Running`."""
        found: AssayError = self._do("explained", error)
        return found

    def spent(self) -> Spent:
        """See `assay.jobs.host.Running`."""
        found: Spent = self._do("spent")
        return found

    def freeze(self) -> None:
        """See `assay.jobs.host.Running`."""
        self._do("freeze")

    def thaw(self) -> None:
        """See `assay.jobs.host.Running`."""
        self._do("thaw")

    def kill(self) -> None:
        """See `assay.jobs.host.Running`: where its machine is gone, so is it."""
        with contextlib.suppress(LostError):
            self._do("kill")
            self._host.fetch(self._log)

    def close(self) -> None:
        """See `assay.jobs.host.Running`."""
        self._do("close")
        self._host.fetch(self._log)

    def _do(self, deed: str, *arguments: Any, seconds: float = 0.0) -> Any:
        found, error = self._host.call("do", self._number, deed, *arguments, seconds=seconds)
        if error is not None:
            raise error
        return found


class RayHost:
    """One machine of a cluster; see `assay.bench.machine.host.Host`.

    Raises:
        LostError: the machine went away, or is taken by others for longer than `wait_seconds`.
    """

    def __init__(self, ray: Any, actor: Any, name: str, wait_seconds: float) -> None:
        self._ray, self._actor, self.name = ray, actor, name
        self._known: dict[Path, Path] = {}
        self._fingerprint: Fingerprint
        root, self._environment, self._cores, self._fingerprint = self.call("about", seconds=wait_seconds)
        self._root = Path(root)

    def start(self, module: str, log: Path, **how: Unpack[How]) -> RayProcess:
        """See `assay.jobs.host.Starter`."""
        python, box = how.get("python"), how.get("box")
        told = {name: self._value_there(value) for name, value in (how.get("environment") or {}).items()}
        boxed = box and ([str(self.there(one, True)) for one in box.writable], box.trusted)
        far_log = str(self.there(log, True))
        number, error = self.call("start", module, far_log, told, python and str(python), boxed)
        if error is not None:
            raise error
        return RayProcess(self, module, log, number)

    def there(self, path: Path, written: bool) -> Path:
        """See `assay.jobs.files.Files`: what is there with the same content is not sent again."""
        far = self._far(path)
        self._known[far] = path
        if path.is_dir():
            self.call("make", str(far))
        beside = [] if written else sorted(path.parent.glob(f"{path.name}*"))  # with a model's external data
        named = [path] if path.is_dir() else beside
        ours = {one: sha256 for place in named for one, sha256 in _files(place).items()}
        theirs: dict[str, str] = self.call("files", str(far if path.is_dir() else far.parent)) if ours else {}
        for name in _manifests_last(ours):
            to = str(self._far(Path(name)))
            if theirs.get(to) != ours[name] and not (written and to in theirs):
                self._send(Path(name), to)
        return far

    def here(self, path: Path) -> Path:
        """See `assay.jobs.files.Files`."""
        return self._known.get(path, path)

    def fetch(self, path: Path) -> None:
        """See `assay.jobs.files.Files`."""
        far = self._far(path)
        theirs: dict[str, str] = self.call("files", str(far))
        ours = _files(path) if theirs else {}
        for name in _manifests_last(theirs):
            to = path / Path(name).relative_to(far) if name != str(far) else path
            if ours.get(str(to)) != theirs[name]:
                self._take(name, to)

    def cores(self) -> tuple[int, ...]:
        """See `assay.bench.machine.host.Host`."""
        return tuple(self._cores)

    def disturbance(self, cores: Sequence[int]) -> Disturbance:
        """See `assay.bench.machine.host.Host`."""
        found: Disturbance = self.call("disturbance", tuple(cores))
        return found

    def fingerprint(self) -> Fingerprint:
        """See `assay.bench.machine.host.Host`."""
        return self._fingerprint

    def environment(self) -> dict[str, JsonValue]:
        """See `assay.bench.machine.host.Host`."""
        return dict(self._environment)

    def call(self, method: str, *arguments: Any, seconds: float = 0.0) -> Any:
        """Have the far side do something.

        Raises:
            LostError: the machine went away, or does not answer.
        """
        with _lost(self._ray, self.name):
            return self._ray.get(getattr(self._actor, method).remote(*arguments), timeout=seconds + GRACE_SECONDS)

    def _far(self, path: Path) -> Path:
        return self._root / path.absolute().relative_to("/")

    def _value_there(self, text: str) -> str:
        """The value of a variable, which may be a path."""
        return str(self.there(Path(text), True)) if text.startswith("/") else text

    def _send(self, file: Path, to: str) -> None:
        with file.open("rb") as stream:
            piece, first = stream.read(PIECE_BYTES), True
            while piece or first:
                self.call("put", to, piece, first)
                piece, first = stream.read(PIECE_BYTES), False

    def _take(self, name: str, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        work = to.with_name(f".{to.name}.{hashlib.sha256(name.encode()).hexdigest()[:8]}")
        with work.open("wb") as stream:
            while piece := self.call("get", name, stream.tell()):
                stream.write(piece)
        work.replace(to)


class RayFleet:
    """The machines of a Ray cluster.

    Args:
        address: "auto", "ray://head:10001" or "head:6379".
        wait_seconds: longest wait for a machine that is taken by others.

    Raises:
        NotInstalledError: Ray is not installed.
        InputError: there is no such cluster.
    """

    def __init__(self, address: str, wait_seconds: float = 600.0) -> None:
        self._ray, self._wait_seconds = _connected(address), wait_seconds
        self._known: dict[str, Machine] = {}
        self._actors: list[Any] = []

    def machines(self) -> list[Machine]:
        """See `assay.bench.fleet.machines.Fleet`. A node without processors is a head that nothing runs on."""
        alive = {node["NodeID"]: node for node in self._nodes() if node["Resources"].get("CPU")}
        new = [place for place in alive if place not in self._known]
        asked = [self._actor(alive[place], {"num_cpus": 0}) for place in new]
        for place, actor in zip(new, asked, strict=True):
            self._known[place] = self._described(alive[place], actor)
        by_key: dict[str, Machine] = {}
        for place in alive:  # one machine on which the engine runs twice is one
            by_key.setdefault(self._known[place].key, self._known[place])
        return list(by_key.values())

    @contextmanager
    def host(self, machine: Machine, *, whole: bool) -> Iterator[RayHost]:
        """See `assay.bench.fleet.machines.Fleet`."""
        node = next((one for one in self._nodes() if one["NodeID"] == machine.place), None)
        if node is None:
            raise LostError(f"{machine.name} is not in the cluster any more")
        has = node["Resources"]
        asked = {
            "num_cpus": has["CPU"] if whole else 1,
            "num_gpus": has.get("GPU", 0) if whole else 0,
            "resources": {f"node:{node['NodeManagerAddress']}": 1.0 if whole else PART},
        }
        actor = self._actor(node, asked)
        self._actors.append(actor)
        try:
            yield RayHost(self._ray, actor, machine.name, self._wait_seconds)
        finally:
            self._end(actor)

    def close(self) -> None:
        """See `assay.bench.fleet.machines.Fleet`."""
        for actor in list(self._actors):
            self._end(actor)

    def _nodes(self) -> list[dict[str, Any]]:
        with _lost(self._ray, "the cluster"):
            return [node for node in self._ray.nodes() if node["Alive"]]

    def _end(self, actor: Any) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get(actor.end.remote(), timeout=GRACE_SECONDS)
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor)
            self._actors.remove(actor)

    def _actor(self, node: Mapping[str, Any], asked: Mapping[str, Any]) -> Any:
        there = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
            node["NodeID"], soft=False
        )
        return (
            self._ray.remote(FarSide)
            .options(scheduling_strategy=there, max_restarts=0, max_concurrency=THREADS, **asked)
            .remote()
        )

    def _described(self, node: Mapping[str, Any], actor: Any) -> Machine:
        place, name, labels = node["NodeID"], node["NodeName"], node.get("Labels") or {}
        named = labels.get("name") or name
        try:
            with _lost(self._ray, named):
                environment, version, checked = self._ray.get(actor.described.remote(), timeout=LOOK_SECONDS)
        except LostError as error:
            return Machine(place, named, kind_in({}), identity_in({}), labels, refused=str(error))
        finally:
            self._end(actor)
        refused = "" if version == __version__ else f"it has Assay {version}, and this machine {__version__}"
        return Machine(place, named, kind_in(environment), identity_in(environment), labels, refused, checked)


def _connected(address: str) -> Any:
    """Return Ray, connected to a cluster. Signals stay ours."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise missing("A fleet", error, "fleet") from error
    listening = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with warnings.catch_warnings(action="ignore"):  # the error says it
            ray.init(address=address, namespace="assay", log_to_driver=False, configure_logging=False)
    except Exception as error:
        raise InputError(
            f"The fleet {address} cannot be reached",
            expected='"local", "auto", or the address of a Ray cluster, "ray://head:10001" or "head:6379"',
            found=said_by(error),
        ) from error
    finally:
        for number, handler in listening.items():
            signal.signal(number, handler)
    return ray


@contextmanager
def _lost(ray: Any, name: str) -> Iterator[None]:
    """Turn Ray's errors into ours.

    Raises:
        LostError: the machine went away, does not answer, or has another Python.
    """
    try:
        yield
    except ray.exceptions.GetTimeoutError as error:
        raise LostError(f"{name} does not answer, or is taken by something else of the cluster") from error
    except (ray.exceptions.RayError, ConnectionError) as error:  # a client's own, where its server is gone
        raise LostError(f"{name} went away, or cannot do it", found=said_by(error)) from error


def _files(path: Path) -> dict[str, str]:
    found = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return {str(one): file_sha256(one) for one in found}


def _manifests_last(names: Mapping[str, str]) -> list[str]:
    """Return names so that what names others comes after them."""
    return sorted(names, key=lambda name: (name.endswith(MANIFEST), name))
