"""Change the modules that decide in one place at a time, and look whether their tests notice: `make mutants`.

cosmic-ray makes the changes. A place where an operator can be replaced by eleven others counts once, so that arithmetic
does not hide the comparisons; annotations are left alone. Each change is made in a copy of the repository. What was
found is kept in build/mutants.jsonl, and a change is tried again only when its module or its tests have changed.

The exit status is 1 where fewer than nine of ten are noticed. Survivors are printed; one that changes nothing that
anybody can see belongs into equivalent.toml, every other one needs a test.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, WorkerOutcome

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOUND = ROOT / "build" / "mutants.jsonl"
ENOUGH = 0.9
LEAVE_OUT = shutil.ignore_patterns(".venv", ".git", "build", "dist", "*_cache", "__pycache__", ".hypothesis")
SLOWER_WITH_A_CHANGE = 4
"""A change that makes the tests take so many times as long has been noticed."""


@dataclass(frozen=True)
class Change:
    """One change of one module.

    Attributes:
        place: line and column, from 1 and 0.
    """

    module: str
    operator: str
    occurrence: int
    function: str
    place: tuple[int, int]
    end: tuple[int, int]

    @property
    def family(self) -> str:
        """`ReplaceBinaryOperator` of `core/ReplaceBinaryOperator_Add_Sub`."""
        return self.operator.rpartition("/")[2].partition("_")[0]

    def key(self, tests: Sequence[str]) -> str:
        """What the outcome depends on: the change, the module, and its tests."""
        content = [
            asdict(self),
            *(hashlib.sha256((ROOT / one).read_bytes()).hexdigest() for one in (self.module, *tests)),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What a change came to.

    Attributes:
        before, after: the lines that differ.
    """

    key: str
    module: str
    function: str
    operator: str
    line: int
    before: str
    after: str
    survived: bool


def places_of(module: str, folder: Path) -> list[list[Change]]:
    """The places of a module that can be changed, each with its changes of one family."""
    with use_db(folder / "changes.sqlite") as changes:
        init([ROOT / module], changes, {})
        specs = [mutation for item in changes.work_items for mutation in item.mutations]
    annotated = list(_annotations(ROOT / module))
    places: dict[tuple[str, tuple[int, int]], list[Change]] = {}
    for spec in specs:
        if any(first <= spec.start_pos <= last for first, last in annotated):
            continue
        change = Change(
            module, spec.operator_name, spec.occurrence, spec.definition_name or "", spec.start_pos, spec.end_pos
        )
        places.setdefault((change.family, change.place), []).append(change)
    return [sorted(places[key], key=lambda one: one.operator) for key in sorted(places)]


def _annotations(path: Path) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations begin and end: nothing in them is ever computed."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for one in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(one, ast.expr):
                yield (one.lineno, one.col_offset), (one.end_lineno or one.lineno, one.end_col_offset or one.col_offset)


def sample(modules: Sequence[str], count: int, seed: int) -> list[Change]:
    """So many places of all, and one change of each."""
    with tempfile.TemporaryDirectory(prefix="assay-mutants-") as folder:
        places = [place for module in modules for place in places_of(module, Path(folder))]
    chance = random.Random(seed)
    print(f"{len(places)} places in {len(modules)} modules", flush=True)
    return [chance.choice(place) for place in chance.sample(places, min(count, len(places)))]


def command_of(tests: Sequence[str]) -> str:
    """The tests of a module until the first that fails."""
    quiet = "-q -x -n 0 -p no:cacheprovider -p no:randomly"
    return f"{sys.executable} -m pytest {quiet} {' '.join(tests)}"


def copied(number: int, parent: Path) -> Path:
    """A copy of the repository in which one process makes its changes."""
    return Path(shutil.copytree(ROOT, parent / str(number), ignore=LEAVE_OUT, symlinks=True))


def usual_seconds(tests: Sequence[str], folder: Path) -> float:
    """How long the tests take without a change.

    Raises:
        SystemExit: they do not pass.
    """
    begun = time.monotonic()
    done = subprocess.run(
        command_of(tests).split(), cwd=folder, env=_variables(folder), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"Without any change these do not pass: {' '.join(tests)}\n{done.stdout[-3000:]}")
    return time.monotonic() - begun


def _variables(folder: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": "off",
    }


def tried(change: Change, key: str, tests: Sequence[str], limit: float, folder: Path) -> Outcome:
    """Make a change in the copy and run the tests; they have `limit` seconds."""
    os.chdir(folder)
    os.environ.update(_variables(folder))
    spec = MutationSpec(
        module_path=Path(change.module),
        operator_name=change.operator,
        occurrence=change.occurrence,
        start_pos=change.place,
        end_pos=change.end,
    )
    result = mutate_and_test([spec], command_of(tests), limit)
    if result.worker_outcome != WorkerOutcome.NORMAL:
        raise RuntimeError(f"{change} could not be tried: {result.output}")
    lines = (result.diff or "").splitlines()
    return Outcome(
        key=key,
        module=change.module,
        function=change.function,
        operator=change.operator.rpartition("/")[2],
        line=change.place[0],
        before=_lines(lines, "-"),
        after=_lines(lines, "+"),
        survived=not result.is_killed,
    )


def _lines(diff: Sequence[str], sign: str) -> str:
    return "\n".join(line[1:].strip() for line in diff if line.startswith(sign) and not line.startswith(sign * 3))


def run(changes: Sequence[Change], tests: dict[str, list[str]], jobs: int) -> list[Outcome]:
    """Try all changes that were not tried before with the module and the tests as they are."""
    known = {one.key: one for one in _kept()}
    keys = {change: change.key(tests[change.module]) for change in changes}
    left = [change for change in changes if keys[change] not in known]
    modules = sorted({change.module for change in left})
    with tempfile.TemporaryDirectory(prefix="assay-mutants-") as parent, ProcessPoolExecutor(jobs) as pool:
        copies = [copied(number, Path(parent)) for number in range(jobs)]
        free = list(copies)
        limits = {module: SLOWER_WITH_A_CHANGE * usual_seconds(tests[module], copies[0]) + 10 for module in modules}
        waiting, running = list(left), {}
        while waiting or running:
            while waiting and free:
                change, copy = waiting.pop(), free.pop()
                module = change.module
                job = pool.submit(tried, change, keys[change], tests[module], limits[module], copy)
                running[job] = copy
            done = next(as_completed(running))
            free.append(running.pop(done))
            outcome = done.result()
            known[outcome.key] = outcome
            _keep(outcome)
            print("survived" if outcome.survived else "noticed ", outcome.module, outcome.line, flush=True)
    return [known[key] for key in keys.values()]


def _kept() -> list[Outcome]:
    if not FOUND.is_file():
        return []
    return [Outcome(**json.loads(line)) for line in FOUND.read_text(encoding="utf-8").splitlines()]


def _keep(outcome: Outcome) -> None:
    FOUND.parent.mkdir(exist_ok=True)
    with FOUND.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(asdict(outcome)) + "\n")


def report(outcomes: Sequence[Outcome]) -> bool:
    """Print the survivors and the share that was noticed; whether it is enough."""
    listed = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8")).get("change", [])
    equivalent = {(one["module"], one["before"], one["after"]) for one in listed}
    survivors = [one for one in outcomes if one.survived]
    argued = [one for one in survivors if (one.module, one.before, one.after) in equivalent]
    for one in survivors:
        if one not in argued:
            print(f"\n{one.module}:{one.line} {one.function}, {one.operator}\n- {one.before}\n+ {one.after}")
    print()
    for module in sorted({one.module for one in outcomes}):
        mine = [one for one in outcomes if one.module == module and one not in argued]
        print(f"{module:30} {sum(not one.survived for one in mine):4} of {len(mine):4}")
    counted = len(outcomes) - len(argued)
    noticed = len(outcomes) - len(survivors)
    share = noticed / counted
    print(f"\n{noticed} of {counted} changes were noticed, {share:.1%}; {len(argued)} more change nothing.")
    return share >= ENOUGH


def main() -> None:
    """The command."""
    tests: dict[str, list[str]] = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=sorted(tests), help="all of modules.toml when none is named")
    parser.add_argument("--count", type=int, default=400, help="places to change (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at once (default: the cores)")
    asked = parser.parse_args()
    changes = sample(asked.modules, asked.count, asked.seed)
    sys.exit(0 if report(run(changes, tests, asked.jobs)) else 1)


if __name__ == "__main__":
    main()
