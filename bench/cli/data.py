"""The commands `assay data build` and `assay data show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.bench.cli.options import DataRoot, Json
from assay.bench.words.terminal import print_json, print_line

data_app = typer.Typer(help="Show data sets, and build MedMNIST files from images.", no_args_is_help=True)
CACHE = Path("artifacts") / "data"


@data_app.command("build", epilog="Example: assay data build pbc:IMAGES.zip --size 64 --out bloodmnist_64.npz")
def data_build(
    source: Annotated[str, typer.Argument(help="A data set name, such as pbc:IMAGES.zip or synthetic.")],
    size: Annotated[int, typer.Option("--size", min=8, max=1024, help="Height and width in pixels.")] = 28,
    out: Annotated[Path, typer.Option("--out", help="The .npz file to write.")] = Path("bloodmnist.npz"),
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split, or of drawn images.")] = 0,
) -> None:
    """Write a data set as a MedMNIST-format .npz file."""
    from assay.bench.words.progress import Narrator
    from assay.train.datasets.data import DataRequest, load_dataset
    from assay.train.datasets.npz import write_medmnist_npz

    narrator = Narrator()
    with narrator.showing():
        dataset = load_dataset(DataRequest(source, size, seed=seed, cache=CACHE), narrator.bar)
    write_medmnist_npz(dataset, out)
    print_line(
        f"{out}: {len(dataset.train.labels)} + {len(dataset.validation.labels)} + {len(dataset.test.labels)} "
        f"images of {size} pixels. {dataset.notice}"
    )


@data_app.command("show", epilog="Example: assay data show synthetic --size 28")
def data_show(
    source: Annotated[str, typer.Argument(help="A data set name, such as bloodmnist or auto.")] = "auto",
    size: Annotated[int, typer.Option("--size", min=8, max=1024, help="Height and width in pixels.")] = 28,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Describe a data set: counts, classes, licence, attribution."""
    from assay.bench.words.progress import Narrator
    from assay.train.datasets.data import DataRequest, Facts, store_dataset

    narrator = Narrator()
    with narrator.showing():
        request = DataRequest(source, size, root=data_root, cache=CACHE)
        facts = Facts.model_validate(store_dataset(request, narrator.bar).manifest.facts)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.model_dump().items():
        print_line(f"{name:13} {value}")
