"""Change the modules that make decisions in one place at a time, and check whether their tests notice: `make mutants`.

cosmic-ray makes the changes. A place where an operator can be replaced by eleven others counts once, so that arithmetic
does not outweigh the comparisons; annotations are left alone. Places are drawn by their content and not by their
number, so an edit elsewhere does not change the others. Each change is made in a copy of the repository. Results are
kept in build/mutants.jsonl, and a change is tried again only if its module or its tests have changed.

The exit status is 1 if fewer than nine in ten are noticed. Survivors are printed. One that has no visible effect
belongs in equivalent.toml; every other one needs a test.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.work_db import use_db

from assay.files.scratch import private_temporary_folder
from tests.mutation.trial import Change, lines_of, tested, usual_seconds

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOUND = ROOT / "build" / "mutants.jsonl"
ENOUGH = 0.9
OF_DATACLASSES = "tests/test_records_are_frozen.py"
"""Reads all modules, which takes too long for a change to anything else."""
LEAVE_OUT = shutil.ignore_patterns(".venv", ".git", "build", "dist", "*_cache", "__pycache__", ".hypothesis")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a change.

    Attributes:
        key: of the change, its module and its tests as they were.
        place: of the change alone, as `Change` has it.
        before, after: the lines that differ.
    """

    key: str
    place: str
    module: str
    function: str
    operator: str
    line: int
    before: str
    after: str
    survived: bool


def tests_of(change: Change, tests: dict[str, list[str]]) -> list[str]:
    """The arguments of pytest for a change."""
    more = [OF_DATACLASSES] if change.text.startswith("@dataclass") else []
    return more + tests[change.module]


def files_of(tests: Sequence[str]) -> list[str]:
    """The files named in pytest's arguments."""
    return [one.partition("::")[0] for one in tests if not one.startswith("-")]


def key_of(change: Change, tests: Sequence[str]) -> str:
    """What the outcome depends on: the change, the module, and its tests."""
    files = (change.module, *files_of(tests))
    content = [asdict(change), list(tests), *(hashlib.sha256((ROOT / one).read_bytes()).hexdigest() for one in files)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def places_of(module: str) -> list[list[Change]]:
    """The places of a module that can be changed; as found before if the module is the same."""
    text = (ROOT / module).read_text(encoding="utf-8")
    kept = FOUND.parent / "places" / f"{hashlib.sha256((module + text).encode()).hexdigest()}.json"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([[asdict(one) for one in place] for place in _places(module, text)]))
    return [[Change(**one) for one in place] for place in json.loads(kept.read_text())]


def _places(module: str, text: str) -> list[list[Change]]:
    """Each place with its changes of one family."""
    with (
        tempfile.TemporaryDirectory(prefix="assay-mutants-") as folder,
        use_db(Path(folder) / "changes.sqlite") as changes,
    ):
        init([ROOT / module], changes, {})
        specs = [mutation for item in changes.work_items for mutation in item.mutations]
    lines, annotated = text.splitlines(), list(_annotations(text))
    places: dict[tuple[str, tuple[int, int]], list[Change]] = {}
    variants: Counter[tuple[str, tuple[int, int]]] = Counter()
    for spec in specs:
        if any(first <= spec.start_pos <= last for first, last in annotated):
            continue
        line = lines[spec.start_pos[0] - 1].strip()
        name = spec.operator_name
        variant = variants[name, spec.start_pos]
        change = Change(module, name, spec.occurrence, variant, spec.definition_name or "", *spec.start_pos, line)
        places.setdefault((change.family, spec.start_pos), []).append(change)
        variants[name, spec.start_pos] += 1
    return [sorted(places[key], key=lambda one: one.operator) for key in sorted(places)]


def _annotations(text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The ranges of annotations, in which nothing is ever computed."""
    for node in ast.walk(ast.parse(text)):
        for one in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(one, ast.expr):
                yield (one.lineno, one.col_offset), (one.end_lineno or one.lineno, one.end_col_offset or one.col_offset)


def sample(modules: Sequence[str], count: int, seed: int) -> list[Change]:
    """A number of places drawn from all, and one change of each."""
    places = [place for module in modules for place in places_of(module)]
    print(f"{len(places)} places in {len(modules)} modules", flush=True)
    alike: Counter[str] = Counter()
    drawn = []
    for place in places:
        one = place[0]
        what = f"{seed} {Path(one.module).stem} {one.function} {one.family} {one.text}"
        alike[what] += 1
        chance = random.Random(f"{what} {alike[what]}")
        drawn.append((chance.random(), chance.choice(place)))
    return [change for _, change in sorted(drawn, key=lambda pair: pair[0])[:count]]


def copied(number: int, parent: Path) -> Path:
    """A copy of the repository in which one process makes its changes."""
    return Path(shutil.copytree(ROOT, parent / str(number), ignore=LEAVE_OUT, symlinks=True))


def tried(change: Change, key: str, tests: Sequence[str], limit_s: float, folder: Path) -> Outcome:
    """Make a change in the copy and run the tests, within this many seconds of processor time."""
    diff, passed = tested(change, tests, limit_s, folder)
    return Outcome(
        key=key,
        place=change.place,
        module=change.module,
        function=change.function,
        operator=change.operator.rpartition("/")[2],
        line=change.line,
        before=lines_of(diff, "-"),
        after=lines_of(diff, "+"),
        survived=passed,
    )


def run(changes: Sequence[Change], tests: dict[str, list[str]], jobs: int, once: bool) -> list[Outcome]:
    """Try all changes that were not tried before with the current module and tests.

    Args:
        once: whether a change that was noticed once is skipped even if its module or tests have changed.
    """
    known = {one.key: one for one in _kept()}
    noticed = {one.place: one for one in known.values() if once and not one.survived}
    keys = {change: key_of(change, tests_of(change, tests)) for change in changes}
    known |= {keys[change]: noticed[change.place] for change in changes if change.place in noticed}
    left = [change for change in changes if keys[change] not in known]
    with private_temporary_folder() as parent, ProcessPoolExecutor(jobs) as pool:
        free = [copied(number, parent) for number in range(jobs)]
        limits: dict[str, float] = {}
        waiting, running = list(reversed(left)), {}
        while waiting or running:
            while waiting and free:
                change, copy = waiting.pop(), free.pop()
                module, told = change.module, tests_of(change, tests)
                if module not in limits:
                    limits[module] = pool.submit(limit_of, module, tests[module], copy).result()
                job = pool.submit(tried, change, keys[change], told, limits[module], copy)
                running[job] = copy
            done = next(as_completed(running))
            free.append(running.pop(done))
            outcome = done.result()
            known[outcome.key] = outcome
            _keep(outcome)
            print("survived" if outcome.survived else "noticed ", outcome.module, outcome.line, flush=True)
    return [known[key] for key in keys.values()]


def limit_of(module: str, tests: Sequence[str], folder: Path) -> float:
    """The processor seconds that a module's tests may take; as found before if everything is the same."""
    texts = "".join((ROOT / one).read_text(encoding="utf-8") for one in (module, *files_of(tests)))
    kept = FOUND.parent / "limits" / hashlib.sha256(" ".join((*tests, texts)).encode()).hexdigest()
    if not kept.is_file():
        found = usual_seconds(tests, folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(str(found))
    return float(kept.read_text())


def _kept() -> list[Outcome]:
    if not FOUND.is_file():
        return []
    return [Outcome(**json.loads(line)) for line in FOUND.read_text(encoding="utf-8").splitlines()]


def _keep(outcome: Outcome) -> None:
    with FOUND.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(asdict(outcome)) + "\n")


def report(outcomes: Sequence[Outcome]) -> bool:
    """Print the survivors and the share that was noticed, and return whether it is enough."""
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
    parser.add_argument("--survivors", action="store_true", help="try no change again that was noticed once")
    asked = parser.parse_args()
    changes = sample(asked.modules, asked.count, asked.seed)
    sys.exit(0 if report(run(changes, tests, asked.jobs, asked.survivors)) else 1)


if __name__ == "__main__":
    main()
