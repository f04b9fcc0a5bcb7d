"""The parts of a worker that can be tested in this process."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.infer.commands import ToBurst, ToKeep, ToLoad, ToWarm
from assay.infer.rounds import drawn_rounds, rotation, timed_round
from assay.infer.runtime import ModelFiles, predict
from assay.infer.runtimes import null
from assay.infer.worker import WorkerState, _as_if_missing
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel


@given(count=st.integers(1, 20), batch=st.integers(1, 9))
def test_rotated_inputs_are_full_batches_of_real_images(count: int, batch: int) -> None:
    batches = rotation(count, batch)
    assert 1 <= len(batches) <= 4
    assert all(one.shape == (batch,) and one.max() < count for one in batches)
    assert len({tuple(one) for one in batches}) == len(batches) or count < 2 * batch


@given(count=st.integers(1, 20), batch=st.integers(1, 9), least=st.integers(1, 40))
def test_there_are_as_many_inputs_in_turn_as_are_asked_for(count: int, batch: int, least: int) -> None:
    batches = rotation(count, batch, least)
    assert len(batches) == max(least, len(rotation(count, batch)))
    assert all(one.shape == (batch,) and one.max() < count for one in batches)
    assert len(drawn_rounds([count], batch, least)) == len(batches)
    assert len(drawn_rounds([count, count], batch, least)) == len(drawn_rounds([count, count], batch))


@given(counts=st.lists(st.integers(1, 20), min_size=1, max_size=5), batch=st.integers(1, 9))
def test_every_round_has_one_call_of_each_file(counts: list[int], batch: int) -> None:
    drawn = drawn_rounds(counts, batch)
    assert len(drawn) % len(counts) == 0
    for first in range(0, len(drawn), len(counts)):
        assert sorted(file for file, _ in drawn[first : first + len(counts)]) == list(range(len(counts)))
    assert all(places.shape == (batch,) and places.max() < counts[file] for file, places in drawn)
    if len(counts) == 1:
        assert [tuple(places) for _, places in drawn] == [tuple(one) for one in rotation(counts[0], batch)]


def test_rounds_take_turns_with_the_inputs_and_are_timed_as_the_mean_of_their_calls() -> None:
    called: list[int] = []
    times = [timed_round(called.append, turn, 3, 12) for turn in range(5)]
    assert called == [*range(12), 0, 1, 2]
    assert all(one >= 0 for one in times)


def test_a_worker_times_rounds_of_mixed_sizes_and_keeps_the_outputs_of_every_size(tmp_path: Path) -> None:
    for size in (2, 3):
        np.save(tmp_path / f"{size}.npy", np.zeros((4, size, size, 3), np.float32))
    state = WorkerState()
    model = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 2, 5)))
    state.load(ToLoad(runtime="null", model=model, settings=Settings()))
    others = (tmp_path / "3.npy",)
    warmed = state.warm(ToWarm(images=tmp_path / "2.npy", batch=1, limit_seconds=0.1, others=others))
    assert len(warmed.calls_ns) >= 2
    burst = state.burst(ToBurst(calls=10, drop=3))
    assert (len(burst.host_ns), len(burst.device_ns), len(burst.dropped_ns)) == (5, 5, 2)
    assert state.timed(ToKeep(out=tmp_path / "kept.npz")).calls == 2
    kept = np.load(tmp_path / "kept.npz")
    assert sorted(kept) == ["logits", "logits-1", "places", "places-1"]
    assert all(kept[name].shape == (1, 5) for name in ("logits", "logits-1"))


@given(count=st.integers(1, 10), batch=st.integers(1, 12))
def test_predict_answers_every_image_once(count: int, batch: int) -> None:
    session = null.load(ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 4, 5))), Settings())
    assert predict(session, np.zeros((count, 4, 4, 3), np.float32), batch).shape == (count, 5)


def test_objects_of_a_warm_model_are_in_no_later_collection(tmp_path: Path) -> None:
    """A collection before every burst visits all objects of a framework, which takes longer than the burst."""
    np.save(tmp_path / "images.npy", np.zeros((4, 4, 4, 3), np.float32))
    state = WorkerState()
    model = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 4, 5)))
    state.load(ToLoad(runtime="null", model=model, settings=Settings()))
    try:
        state.warm(ToWarm(images=tmp_path / "images.npy", batch=1, limit_seconds=1))
        assert gc.get_freeze_count() > 10_000
        state.burst(ToBurst(calls=2, drop=0))
        assert len(gc.get_objects()) < 10_000
    finally:
        gc.unfreeze()


def test_peak_memory_counts_what_was_given_back() -> None:
    """In a separate process, because earlier tests have raised this one's peak."""
    code = (
        "import numpy\nimport assay.infer.worker as w; before = w.peak_memory_mib(); "
        "block = numpy.ones((64, 2**20), numpy.uint8); del block; print(w.peak_memory_mib() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 60 < float(done.stdout) < 80


def test_what_a_library_does_without_cannot_be_imported_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_example.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with _as_if_missing(["beside_example", "gc"]):
        assert importlib.import_module("gc") is gc, "what is there already stays"
        with pytest.raises(ModuleNotFoundError, match="beside_example"):
            importlib.import_module("beside_example")
    assert importlib.import_module("beside_example")
    del sys.modules["beside_example"]


@pytest.mark.slow
def test_a_worker_imports_tensorflow_without_the_other_frameworks() -> None:
    """They are there when a model asks for them."""
    program = (
        "import sys\n"
        "from assay.infer.commands import ToImport\n"
        "from assay.infer.worker import WorkerState\n"
        "WorkerState().imports(ToImport(runtime='tf.function', cores=(), device='cpu'))\n"
        "assert 'tensorflow' in sys.modules and 'jax' not in sys.modules and 'sklearn' not in sys.modules\n"
        "import jax, sklearn\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
