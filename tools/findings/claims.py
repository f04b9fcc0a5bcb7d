"""Tables on the page of the paper's claims, from the published results."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import cache

from assay.bench.comparing.compare import unpaired_ratio
from assay.bench.history.read import Release, read_release
from assay.bench.judging.summary import ranked
from assay.bench.report.evidence import Evidence
from assay.bench.report.sections.reasons.knee import knees
from assay.bench.statistics.stats import Samples, ratio_estimate
from assay.bench.tasks.classification.defaults import changed_constants, on_the_way
from assay.bench.tasks.classification.trained import mean_over_seeds
from assay.records.base import Interval
from assay.records.results import Cell, read_results
from assay.records.trainings import Training
from assay.train.recipe import frameworks_with
from tools.findings.reference import FRAMEWORKS, REFERENCE, told

DEFAULTS = REFERENCE / "defaults"
IMAGES = ("cells", "digits")
SIDES = ("native", "ONNX")
JAX_AND_TORCH = """| images, batch | JAX | torch.eager | torch.channels_last | the fastest of PyTorch | which is |
|---|---|---:|---:|---:|---|"""
DEFAULT = """| trained on | constant | default of | on the way | at the end |
|---|---|---|---:|---:|"""
SCALING = """| | 28 to 64 | 64 to 128 | 128 to 224 |
|---|---:|---:|---:|"""
KNEES = """| model, batch | knee | in draws | candidates |
|---|---|---:|---|"""


@cache
def reference() -> Release:
    return read_release(REFERENCE)


def cell(group: str, label: str) -> Cell | None:
    return next((one for one in reference().results.cells if one.name == f"{group}/{label}" and ranked(one)), None)


def fastest(group: str, side: str) -> Cell:
    """The fastest cell in fp32 of a framework ("torch.", say), of all native runtimes or through ONNX."""
    cells = [
        one
        for one in reference().results.cells
        if one.name.startswith(f"{group}/") and one.framework and ranked(one) and not one.reduced_precision
    ]
    if side in SIDES:
        cells = [one for one in cells if one.is_native == (side == "native")]
    else:
        cells = [one for one in cells if one.label.startswith(side)]
    return min(cells, key=median)


def median(one: Cell) -> float:
    return one.host.median_ms.value if one.host else math.inf


def samples(one: Cell) -> Samples:
    return reference().timed[one.name]["host"]


def jax_against_torch() -> Iterator[str]:
    """PyTorch's time over JAX's, plain and at its best, at 224 pixels."""
    for architecture, batch in itertools.product(("bloodnet", "resnet18"), (1, 32)):
        group = f"{architecture}/224/b{batch}/t1"
        jax = cell(group, "jax.jit") or fastest(group, "jax.")
        columns = [f"{architecture} 224x224, {batch}", jax.label]
        for other in (cell(group, "torch.eager"), cell(group, "torch.channels_last"), fastest(group, "torch.")):
            ratio = ratio_estimate(samples(other), samples(jax)) if other else None
            columns.append(f"{told(ratio.interval)}" if ratio else "no valid time")
        yield f"| {' | '.join([*columns, fastest(group, 'torch.').label])} |"


def scaling() -> Iterator[str]:
    """Exponents of time over the number of pixels, from each size to the next, at batch 1."""
    for architecture, side in itertools.product(("bloodnet", "resnet18"), SIDES):
        exponents = []
        for small, large in itertools.pairwise((28, 64, 128, 224)):
            cells = [fastest(f"{architecture}/{size}/b1/t1", side) for size in (small, large)]
            ratio = unpaired_ratio(samples(cells[1]), samples(cells[0])).interval
            scale = 2 * math.log(large / small)
            exponents.append(
                told(Interval(**{name: math.log(value) / scale for name, value in ratio.model_dump().items()}))
            )
        yield f"| {architecture}, fastest {side} | {' | '.join(exponents)} |"


def knee_rows() -> Iterator[str]:
    (table,) = knees(Evidence(reference().results))
    for row in table.rows:
        architecture, batch, _, _, found, share, candidates = (
            value.text.replace("\N{MULTIPLICATION SIGN}", "x") for value in row
        )
        yield f"| {architecture}, {batch} | {found} | {share} % | {candidates} |"


def trainings_of(images: str) -> list[Training]:
    return read_results(DEFAULTS / images / "results.json").trainings


def default_rows() -> Iterator[str]:
    """The difference that each default makes alone, in points, mean over seeds."""
    for images in IMAGES:
        for one in changed_constants(trainings_of(images)):
            pairs = [(on_the_way(base), on_the_way(changed)) for base, changed in one.pairs]
            way = [100 * (changed - base) for base, changed in pairs if base is not None and changed is not None]
            end = [100 * (changed.test.accuracy.value - base.test.accuracy.value) for base, changed in one.pairs]
            shown = [mean_over_seeds(values) for values in (way, end)]
            whose = ", ".join(FRAMEWORKS[name] for name in frameworks_with(one.changed))
            columns = [f"{images}, {len(one.pairs)} seeds", one.changed, whose]
            yield f"| {' | '.join([*columns, *(told(value, 1) for value in shown if value)])} |"
