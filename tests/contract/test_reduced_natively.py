"""TensorFlow, LiteRT and JAX in less than fp32: planted cases are found, and impossible ones are refused."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf

from assay.errors import ArtifactError, InputError
from assay.export.programs import on_litert
from assay.export.programs.request import ProgramRequest
from assay.infer.observing.on_jax_compiled import precisions_of
from assay.infer.observing.on_litert import computed_in
from assay.infer.runtime import ModelFiles
from assay.infer.runtimes import on_jax_narrow, on_tf, on_tf_narrow
from assay.infer.runtimes import on_litert as run_litert
from assay.infer.runtimes.processor import refuse_without_bf16
from assay.registry import RUNTIMES
from assay.runtimes.tf import REWRITE, REWRITE_ON_GPU
from assay.spec import LITERT_FILE, ModelSpec, Settings
from assay.train.architectures import skeleton_of
from assay.train.built import BuiltModel
from assay.train.models.on_jax_narrow import narrowed
from assay.train.weights import initial_weights, save_weights

SPEC = skeleton_of(ModelSpec("bloodnet", 28, 8))
IMAGES = np.random.default_rng(0).standard_normal((5, *SPEC.image_shape)).astype(np.float32)
MAKERS = {
    "fp32": ("litert", on_litert.make_fp32),
    "fp16": ("litert.fp16", on_litert.make_half_weights),
    "int8": ("litert.int8", on_litert.make_int8),
}
LOADERS = {"fp32": run_litert.load_fp32, "fp16": run_litert.load_half_weights, "int8": run_litert.load_int8}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(path, initial_weights(SPEC, 0))
    return ModelFiles(model=BuiltModel(spec=SPEC, weights=path))


@pytest.fixture(scope="module")
def programs(files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFiles]:
    assert files.weights is not None
    images = files.weights.with_name("images.npy")
    np.save(images, IMAGES)
    found = {}
    for what, (runtime, make) in MAKERS.items():
        folder = tmp_path_factory.mktemp("program")
        make(ProgramRequest(runtime=runtime, model=files.model, calibration=images, folder=folder))
        found[what] = files.model_copy(update={"program": folder})
    return found


def content_of(files: ModelFiles) -> bytes:
    assert files.program is not None
    return (files.program / LITERT_FILE).read_bytes()


def test_a_file_of_litert_says_what_it_computes_in(programs: dict[str, ModelFiles]) -> None:
    assert {what: computed_in(content_of(one)) for what, one in programs.items()} == {what: what for what in MAKERS}


def test_weights_that_the_converter_left_in_fp32_are_not_int8(files: ModelFiles, tmp_path: Path) -> None:
    """Dynamic range leaves weights of fewer than 1024 numbers unchanged, without a message."""
    on_litert.make_dynamic(ProgramRequest(runtime="litert.dynamic", model=files.model, folder=tmp_path))
    with pytest.raises(ArtifactError, match=r"does not compute in int8.*found fp32"):
        run_litert.load_int8(files.model_copy(update={"program": tmp_path}), Settings())


def test_litert_takes_any_batch_and_computes_the_same_function(programs: dict[str, ModelFiles]) -> None:
    right: np.ndarray | None = None
    for what, one in programs.items():
        session = LOADERS[what](one, Settings())
        rows = np.concatenate([session.fetch(session.run(session.prepare(part))) for part in (IMAGES[:2], IMAGES[2:])])
        right = rows if right is None else right
        largest = float(np.abs(rows - right).max() / np.abs(right).max())
        assert largest == 0 if what == "fp32" else 1e-6 < largest < 0.2, (what, largest)


def test_what_xnnpack_computes_of_a_graph_is_seen(programs: dict[str, ModelFiles]) -> None:
    for what, one in programs.items():
        session = LOADERS[what](one, Settings())
        assert session.observe(session.prepare(IMAGES[:2])).facts["delegate"] == "XNNPACK", what
    found = []
    for function in (
        lambda rows: tf.cumsum(rows @ tf.ones((4, 4)), 1) @ tf.ones((4, 4)),
        lambda rows: tf.cumsum(rows, 1),
    ):
        traced = tf.function(function, [tf.TensorSpec((2, 4), tf.float32)], autograph=False).get_concrete_function()
        content = tf.lite.TFLiteConverter.from_concrete_functions([traced], None).convert()
        interpreter = run_litert.Interpreter(model_content=content)
        interpreter.allocate_tensors()
        found.append(run_litert.delegated(interpreter))
    assert found == ["XNNPACK in part", "none"]


def test_xnnpack_has_the_whole_graph_at_every_batch_in_its_turn(programs: dict[str, ModelFiles]) -> None:
    """Another batch takes the graph from XNNPACK and gives it back."""
    session = LOADERS["fp32"](programs["fp32"], Settings())
    for batch in (1, 4, 1, 5):
        assert session.observe(session.prepare(IMAGES[:batch])).facts["delegate"] == "XNNPACK", batch


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted where Linux lists them")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_litert_has_as_many_threads_as_were_asked_for(threads: int, programs: dict[str, ModelFiles]) -> None:
    """The calling thread, and the other threads of XNNPACK's pool."""
    before = set(os.listdir("/proc/self/task"))
    session = LOADERS["fp32"](programs["fp32"], Settings(threads=threads))
    session.run(session.prepare(IMAGES))
    assert len(set(os.listdir("/proc/self/task")) - before) == threads - 1


@pytest.mark.parametrize("what", ["int8", "fp16"])
def test_fp32_that_is_called_less_is_found(what: str, programs: dict[str, ModelFiles], tmp_path: Path) -> None:
    planted = tmp_path / LITERT_FILE
    assert programs["fp32"].program is not None
    shutil.copy(programs["fp32"].program / LITERT_FILE, planted)
    files = programs[what].model_copy(update={"program": tmp_path})
    with pytest.raises(ArtifactError, match=rf"does not compute in {what}.*found fp32"):
        LOADERS[what](files, Settings())
    with pytest.raises(ArtifactError, match="does not compute in fp32"):
        run_litert.load_fp32(programs["int8"], Settings())


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 40])
def test_a_file_that_is_not_litert_is_refused(content: bytes, files: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / LITERT_FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match="LiteRT cannot load"):
        run_litert.load_fp32(files.model_copy(update={"program": tmp_path}), Settings())
    with pytest.raises(InputError, match="made for it"):
        run_litert.load_fp32(files, Settings())


@pytest.mark.parametrize(
    ("calibration", "reason"),
    [(None, "there are no inputs"), (IMAGES.astype(np.float64), "do not fit"), (IMAGES[:, :4], "do not fit")],
)
def test_what_int8_cannot_be_calibrated_with_is_said(
    calibration: np.ndarray | None, reason: str, files: ModelFiles, tmp_path: Path
) -> None:
    if calibration is not None:
        np.save(tmp_path / "images.npy", calibration)
    request = ProgramRequest(
        runtime="litert.int8",
        model=files.model,
        calibration=None if calibration is None else tmp_path / "images.npy",
        folder=tmp_path,
    )
    with pytest.raises(InputError, match=reason):
        on_litert.make_int8(request)


@pytest.fixture
def rewriting() -> Iterator[None]:
    yield
    tf.config.optimizer.set_experimental_options({REWRITE: False, REWRITE_ON_GPU: False})


@pytest.mark.usefixtures("rewriting")
def test_tensorflow_in_bf16_is_seen_as_it_was_rewritten(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_tf_narrow, "refuse_without_bf16", lambda what: None)
    monkeypatch.setattr(on_tf, "tensorflow_device", lambda settings: "/CPU:0")  # told once in a process
    session = on_tf_narrow.load_bf16(files, Settings())
    native = session.prepare(IMAGES)
    seen = session.observe(native)
    assert (seen.device, seen.precision) == ("cpu", "bf16")
    tf.config.optimizer.set_experimental_options({REWRITE: False})
    planted = session.observe(native)  # what says bf16 is fp32 underneath
    assert planted.precision == "fp32"


@pytest.mark.usefixtures("rewriting")
def test_tensorflow_in_fp16_is_for_a_gpu_and_on_the_cpu_in_its_place_it_is_seen_not_to_be(
    files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="for a GPU alone"):
        on_tf_narrow.load_fp16(files, Settings())
    monkeypatch.setattr(on_tf, "tensorflow_device", lambda settings: "/CPU:0")
    session = on_tf_narrow.load_fp16(files, Settings(device="cuda"))
    assert (session.precision, session.facts["rewritten by"]) == ("fp16", REWRITE_ON_GPU)
    assert session.observe(session.prepare(IMAGES)).precision == "fp32", "TensorFlow rewrites nothing for the CPU"


def test_a_processor_without_bf16_is_refused(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("flags\t: fpu avx2 avx512f avx512_bf16\n")
    refuse_without_bf16("TensorFlow", told)
    for text in ("flags\t: fpu avx2 avx512f\n", ""):
        told.write_text(text)
        with pytest.raises(InputError, match="TensorFlow cannot compute in bf16 on this processor"):
            refuse_without_bf16("TensorFlow", told)


def test_jax_that_turns_bf16_back_to_fp32_is_refused(files: ModelFiles) -> None:
    with pytest.raises(InputError, match=r"XLA computes bf16 products in another precision.*found fp32"):
        on_jax_narrow.load_bf16(files, Settings())


def test_jax_in_fp16_is_for_a_gpu(files: ModelFiles) -> None:
    with pytest.raises(InputError, match="on a GPU alone"):
        on_jax_narrow.load_fp16(files, Settings())


@pytest.mark.parametrize(("precision", "kind"), [("bf16", "bfloat16"), ("fp16", "float16")])
def test_products_of_a_function_become_narrow_and_nothing_else(precision: str, kind: str) -> None:
    weights = jnp.asarray(IMAGES[0, :, :, 0])

    @jax.jit
    def function(rows: jax.Array) -> tuple[jax.Array]:
        return (jax.nn.softmax(rows @ weights) + 1,)

    rows = jnp.asarray(IMAGES[1, :4, :, 0])
    narrow = narrowed(function, precision)
    (found,), (exact,) = narrow(rows), function(rows)
    assert found.dtype == exact.dtype == jnp.float32
    assert 1e-5 < float(jnp.abs(found - exact).max()) < 0.1
    told = [str(one.invars[0].aval.dtype) for one in jax.make_jaxpr(narrow)(rows).eqns if "dot" in one.primitive.name]
    assert told == [kind]


COMPILED = """
ENTRY %main.1 (a.1: bf16[4,4], w.1: bf16[4,4]) -> f32[4,4] {
  %a.1 = bf16[4,4]{1,0} parameter(0)
  %w.1 = bf16[4,4]{1,0} parameter(1)
  %up.1 = f32[4,4]{1,0} convert(%a.1)
  %gemm = (bf16[4,4]{1,0}, s8[4]{0}) custom-call(%a.1, %w.1), custom_call_target="__cublas$gemm"
  %other = (bf16[4,4]{1,0}) custom-call(%a.1, %w.1), custom_call_target="AllocateBuffer"
  ROOT %dot.1 = f32[4,4]{1,0} dot(%up.1, %up.1), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}
"""


def test_what_xla_compiled_products_to_is_read() -> None:
    assert precisions_of(COMPILED) == Counter({"bf16": 1, "fp32": 1})


def test_the_deployment_tier_is_litert() -> None:
    assert {RUNTIMES[name].tier for name, _ in MAKERS.values()} == {"deployment"}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "error: 'tf.Svd' op is neither a custom op nor a flex op\n'tf.Qr' op is neither a custom op nor a flex op",
            "operators that LiteRT lacks: tf.Qr, tf.Svd",
        ),
        ("something else", "something else"),
    ],
)
def test_what_the_converter_has_no_rule_for_is_named(said: str, reason: str) -> None:
    assert on_litert.reason_of(ValueError(said)) == reason
