"""A causal language model's two parts together: the text that float64 writes, followed by every runtime, and one page
on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay import __version__
from assay.bench.brought.compare import ComparedModel
from assay.bench.report.evidence import Evidence
from assay.bench.report.study_report import evidence_of
from assay.bench.tasks.causal_lm.page import write_page
from assay.bench.tasks.causal_lm.record import DECODER_FILE, Decoder, FollowedText
from assay.bench.tasks.causal_lm.speed import paces_of
from assay.bench.tasks.causal_lm.text import text_of
from assay.bench.timing.workers import Candidate
from assay.errors import AssayError, DiskError
from assay.export.probing.probe import RECORDS_FILE
from assay.export.reference.greedy_job import GREEDY, LOGITS_FILE, TOKENS_FILE, GreedyRequest
from assay.files.arrays import load_array
from assay.files.disk import short_name
from assay.infer.follow_job import FOLLOW, FollowRequest, PartOfText
from assay.infer.runtime import ModelFiles
from assay.numerics.agreement import Tolerance, derive_tolerance
from assay.registry import RUNTIMES
from assay.spec import Settings
from assay.steps import MOST_SECONDS, Limit
from assay.store import write_atomically

MOST_PROMPTS, MOST_STEPS = 4, 24
Logits = NDArray[np.floating]


def put_together(parts: Mapping[str, ComparedModel], folder: Path, model: str) -> tuple[Decoder, Path]:
    """Follow the text in every runtime, and write the record and the page into the folder.

    Args:
        parts: both parts, compared.
        folder: folder that the parts' folders are in.
        model: the model as its user names it.

    Raises:
        AssayError: the text cannot be written in float64.
    """
    prefill, decode = parts["prefill"], parts["decode"]
    work, narrator = decode.work, decode.work.narrator
    steps = _steps(decode)
    with narrator.showing(), work.stage("text", "Following the text of float64"):
        place = folder / "text"
        place.mkdir(parents=True, exist_ok=True)
        records = load_array(prefill.brought.folder / RECORDS_FILE)[:MOST_PROMPTS]
        prompts = np.ascontiguousarray(records[prefill.brought.model.inputs[0].name])
        np.save(place / "prompts.npy", prompts)
        narrator.tell(f"writing {steps} tokens in float64")
        request = GreedyRequest(
            prefill=prefill.brought.model,
            decode=decode.brought.model,
            prompts=place / "prompts.npy",
            steps=steps,
            folder=place,
        )
        work.ask(GREEDY, request, folder / "logs" / "greedy.log", _limit("Writing the text in float64"), place)
        texts = _followed(prefill, decode, place)
    found = Decoder(
        model=model,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        assay_version=__version__,
        command=work.wanted.command,
        parts={"prefill": prefill.work.folder.name, "decode": decode.work.folder.name},
        prompt=prompts.shape[1],
        records=len(prompts),
        steps=steps,
        reference=f"{prefill.brought.native_name} in float64",
        paces=[pace for one in (prefill, decode) for pace in paces_of(_evidence(one))],
        texts=texts,
    )
    write_atomically(folder / DECODER_FILE, found.model_dump_json(indent=1).encode())
    return found, write_page(found, folder)


def _evidence(part: ComparedModel) -> Evidence:
    return evidence_of(part.work.folder, part.results)


def _steps(decode: ComparedModel) -> int:
    """Return as many steps as stay within the sizes that exports leave open."""
    ends = [(size.least, size.most) for one in decode.brought.model.inputs for size in one.open]
    return max(1, min([MOST_STEPS, *(most - least for least, most in ends)]))


def _limit(doing: str) -> Limit:
    return Limit(MOST_SECONDS, doing)


def _followed(prefill: ComparedModel, decode: ComparedModel, place: Path) -> list[FollowedText]:
    """Return the text of every runtime, the one from which the tolerance is derived first."""
    reference, tokens = load_array(place / LOGITS_FILE), load_array(place / TOKENS_FILE)
    candidates = [one for one in decode.groups[0].candidates if one.framework]
    native = _plain(decode)
    logits: dict[str, Logits] = {}
    texts, tolerance = [], Tolerance(0.0, "none could be derived", "the model's own text could not be followed")
    for one in [native, *(other for other in candidates if other.label != native.label)]:
        first = _prefill_for(one, prefill)
        decode.work.narrator.tell(f"following the text in {one.label}")
        try:
            logits[one.label] = _logits_of(first, one, prefill, decode, place)
        except DiskError:
            raise
        except AssayError as error:
            texts.append(FollowedText(prefill=first.label, decode=one.label, reason=str(error)))
            continue
        if one is native:
            flat = len(reference), -1
            natives = {prefill.brought.native_name: logits[one.label].reshape(flat).astype(np.float64)}
            tolerance = derive_tolerance(reference.reshape(flat), natives)
        precision = one.asked_precision or "fp32"
        texts.append(text_of(first.label, one.label, logits[one.label], reference, tokens, tolerance, precision))
    return texts


def _prefill_for(one: Candidate, prefill: ComparedModel) -> Candidate:
    """Return what computes the prompt for a runtime: itself, on the same route's export; the model's own framework
    where it computes steps alone.
    """
    candidates = prefill.groups[0].candidates
    return next((other for other in candidates if other.label == one.label), None) or _plain(prefill)


def _plain(part: ComparedModel) -> Candidate:
    """Return the model's own framework, operator by operator: from its error in fp32 the tolerance is derived."""
    kind = part.brought.model.kind
    fitting = (one for one in RUNTIMES.loading(kind) if "model" in one.unasked and not (one.compiles or one.maker))
    return Candidate(next(fitting).name, "", ModelFiles(model=part.brought.model), trusted=part.work.trusted)


def _logits_of(first: Candidate, then: Candidate, prefill: ComparedModel, decode: ComparedModel, place: Path) -> Logits:
    work = decode.work
    out = place / f"{short_name(then.label)}.npy"
    request = FollowRequest(
        prefill=_of_any_size(first, prefill),
        decode=_of_any_size(then, decode),
        settings=Settings(work.wanted.threads, work.host.cores()[-work.wanted.threads :], work.wanted.device),
        prompts=place / "prompts.npy",
        tokens=place / TOKENS_FILE,
        out=out,
    )
    log = place.parent / "logs" / f"follow-{short_name(then.label)}.log"
    work.ask(FOLLOW, request, log, _limit(f"The text in {then.label}"), place)
    found: Logits = load_array(out)
    return found


def _of_any_size(one: Candidate, part: ComparedModel) -> PartOfText:
    return PartOfText(runtime=one.runtime, model=one.model.model_copy(update={"model": part.brought.model}))
