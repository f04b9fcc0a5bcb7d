"""The training stage: every model in every framework, their parity, and the weights for the next stages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from assay.bench.run import Run, TrainedModel
from assay.fleet.kind import kind_in
from assay.jobs.kept import Kept, keeping
from assay.jobs.side_by_side import side_by_side
from assay.records.trainings import Parity, Training
from assay.registry import FRAMEWORKS
from assay.study import ModelSection, Study
from assay.train.job import WEIGHTS_FILE, TrainingRequest
from assay.train.recipe import OWN_DEFAULTS, Recipe, one_default_each
from assay.train.run import measure_parity, train_model

Chain = dict[tuple[str, str, int], tuple[TrainingRequest, Training]]
"""The last training of an architecture in a framework under a seed: the next size starts from it."""


def train_all(run: Run) -> tuple[list[Training], list[Parity]]:
    """Return every training of the study, smallest size first, and the parity of frameworks, trained side by side.

    A model that is written down twice, so that its larger sizes are trained in fewer frameworks, continues where the
    first of the two ended.
    """
    trainings: list[Training] = []
    parity: list[Parity] = []
    chain: Chain = {}
    for model in run.models:
        frameworks = _frameworks_of(run.study, model)
        with run.stage("training", f"Training {model.architecture}"):
            run.data(model.sizes[0])
            larger = [partial(run.data, size) for size in model.sizes[1:]]
            with keeping(run.sharing(len(frameworks)), run.folder / "logs") as kept:
                first: list[Callable[[], object]] = [partial(_parity, run, model, kept, parity), *larger]
                side_by_side(first, run.together)
                each = [partial(_train_in, run, model, framework, chain, kept) for framework in frameworks]
                trainings += itertools.chain.from_iterable(side_by_side(each, run.together))
    return trainings, parity


def check_frameworks(study: Study) -> None:
    """
    Raises:
        NotInstalledError: a framework that the study trains in is not there.
    """
    for name in dict.fromkeys(itertools.chain.from_iterable(_frameworks_of(study, model) for model in study.models)):
        FRAMEWORKS[name].check_installed(f"The study, which trains in {FRAMEWORKS[name].summary} (train.frameworks),")


def _frameworks_of(study: Study, model: ModelSection) -> tuple[str, ...]:
    return model.frameworks or study.train.frameworks


def _train_in(run: Run, model: ModelSection, framework: str, chain: Chain, kept: Kept) -> list[Training]:
    """All trainings of a model in one framework, one after the other: a size begins where the one before it ended."""
    wanted, request_of = run.study.train, partial(_training_request, run, model, framework)
    found = []
    for seed in (wanted.seed, *(model.repeat_seeds or wanted.repeat_seeds)):
        sizes = model.sizes if seed == wanted.seed else model.sizes[:1]
        found += [_train(run, model, request_of(seed, size), chain, kept) for size in sizes]
        if wanted.each_default:
            changed = _with_each_default(request_of(seed, model.sizes[0]))
            found += [_train(run, model, request, {}, kept) for request in changed]
    return found


def _with_each_default(request: TrainingRequest) -> Iterator[TrainingRequest]:
    """Iterate over the same training with one constant at a time as another framework has it by default."""
    for changed, recipe in one_default_each(request.recipe).items():
        out, unfinished = (place.with_name(f"{place.name}-{changed}") for place in (request.out, request.unfinished))
        update = {"recipe": recipe, "changed": changed, "out": out, "unfinished": unfinished}
        yield request.model_copy(update=update)


def _train(run: Run, model: ModelSection, request: TrainingRequest, chain: Chain, kept: Kept) -> Training:
    """One training, from the weights of the size before it where there was one."""
    size, framework, seed = request.spec.size, request.framework, request.seed
    place = (model.architecture, framework, seed)
    if place in chain and run.study.train.progressive:
        before, weights = chain[place]
        recipe = replace(request.recipe, peak_learning_rate=request.recipe.peak_learning_rate / 2)
        start = {"start": before.out / WEIGHTS_FILE, "start_key": weights.weights, "recipe": recipe}
        request = request.model_copy(update=start)
    request = request.model_copy(update={"machine": kind_in(run.host.environment()).words})
    told = (f"{model.architecture} at {size} in {framework}", f"seed {seed}", request.changed)
    label = ", ".join(filter(None, told))
    name = request.out.name
    log = run.folder / "logs" / f"{name}.log"
    images = len(run.data(size)[1].train.images)
    report = partial(run.narrator.training, label)
    training = train_model(request, run.store("weights"), name, images, log, report, host=kept.of(framework))
    run.narrator.trained(training)
    chain[place] = (request, training)
    return training


def _training_request(run: Run, model: ModelSection, framework: str, seed: int, size: int) -> TrainingRequest:
    artifact, dataset = run.data(size)
    wanted = run.study.train
    name = f"{model.architecture}-{size}-{framework}-s{seed}"
    return TrainingRequest(
        framework=framework,
        spec=run.spec(model, size),
        recipe=replace(
            OWN_DEFAULTS[framework] if wanted.own_defaults else Recipe(),
            batch_size=model.batch_size or wanted.batch_size,
            peak_learning_rate=model.peak_learning_rate or wanted.peak_learning_rate,
        ),
        epochs=model.epochs[model.sizes.index(size)],
        minutes=wanted.minutes,
        evaluated_images=wanted.evaluated_images,
        seed=seed,
        dataset=artifact.folder,
        data_hash=dataset.content_hash,
        out=run.folder / "weights" / name,
        unfinished=run.folder / "weights" / f".{name}.training",
    )


def _parity(run: Run, model: ModelSection, kept: Kept, known: list[Parity]) -> None:
    """Add the parity of one model at its smallest size, measured once, where there is something to compare."""
    frameworks = _frameworks_of(run.study, model)
    if not run.study.train.parity_steps or len(frameworks) < 2 or run.study.train.own_defaults:
        return
    request = _training_request(run, model, frameworks[0], run.study.train.seed, model.sizes[0])
    steps = run.study.train.parity_steps
    inputs = request.inputs() | {"frameworks": list(frameworks), "steps": steps}
    name = f"{model.architecture}-{model.sizes[0]}"

    def fill(work: Path) -> dict[str, JsonValue]:
        run.narrator.tell(f"training parity over {steps} steps: {', '.join(frameworks)}")
        logs = run.folder / "logs"
        found = measure_parity(request, frameworks, steps, logs, together=run.together, host_of=kept.of)
        (work / "parity.json").write_text(found.model_dump_json(), encoding="utf-8")
        return {}

    found = run.store("parity").kept("parity", inputs, fill, name=name, single=True)
    parity = found.record(Parity, "parity.json")
    worst = parity.worst_relative_difference
    run.narrator.note(f"{model.architecture}: losses of the first {steps} steps differ by at most {worst:.1e}")
    known.append(parity)


def choose_subjects(run: Run, trainings: list[Training]) -> list[TrainedModel]:
    """Return the weights that are exported and timed for each model and size: a framework's, or the best's."""
    found = []
    for model in run.models:
        for size in model.sizes:
            candidates = [
                training
                for training in trainings
                if (training.architecture, training.size, training.seed, training.changed)
                == (model.architecture, size, run.study.train.seed, "")
            ]
            wanted = run.study.bench.weights
            if wanted != "best":
                candidates = [training for training in candidates if training.framework == wanted]
            best = max(candidates, key=lambda training: training.validation_accuracy)
            folder = run.folder / "weights" / f"{model.architecture}-{size}-{best.framework}-s{best.seed}"
            found.append(TrainedModel(run.spec(model, size), folder, best.weights))
    return found
