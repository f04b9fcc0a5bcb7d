"""The runtimes that are timed on a user's model: those named that apply, and the reasons for the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from assay.bench.brought.compare import check_wanted, compare_model
from assay.bench.brought.which_runtimes import left_out, timed_on
from assay.bench.brought.work import Wanted
from assay.bench.machine.host import Host
from assay.bench.stages.groups import runs_of
from assay.bench.words.progress import Narrator
from assay.errors import InputError
from assay.registry import EXPORTERS
from assay.train.brought.model import Location, Tensor, UserModel

ON_FILES = ["ort.cpu", "openvino"]
LEVELS = ["ort.cpu", "ort.cpu.no-opt", "ort.cpu.basic", "ort.cpu.extended", "openvino"]


def model(kind: str, form: str = "function") -> UserModel:
    row = (Tensor(name="x", dtype="float32", shape=(4,)),)
    return UserModel(location=Location(path=Path("m.py"), form=form, kind=kind), kind=kind, inputs=row, outputs=row)


def wanted(*names: str) -> Wanted:
    return Wanted(Location(path=Path("m.py"), form="function"), runtimes=names)


@pytest.mark.parametrize(
    ("brought", "names", "files"),
    [
        (model("torch"), ["torch.eager", "torch.script", "torch.compile.frozen"], ON_FILES),
        (model("torch", "script"), ["torch.eager", "torch.script"], ON_FILES),
        (model("torch", "program"), ["torch.eager", "torch.compile.frozen"], ON_FILES),
        (model("tf"), ["tf.function", "tf.xla", "litert"], ON_FILES),
        (model("jax"), ["jax.jit"], ON_FILES),
        (model("onnx", "onnx"), [], LEVELS),
    ],
)
def test_runtimes_that_are_timed_by_default(brought: UserModel, names: list[str], files: list[str]) -> None:
    assert timed_on(wanted(), brought) == names + files
    assert left_out(wanted(), brought, []) == []


def test_named_runtimes_are_timed_alone_and_those_that_do_not_apply_are_reported() -> None:
    asked = wanted("torch.channels_last", "torch.compile", "jax.jit", "ort.cpu.basic")
    script = model("torch", "script")
    assert timed_on(asked, script) == ["torch.channels_last", "ort.cpu.basic"]
    assert left_out(asked, script, ["torch-script"]) == [
        "torch.compile is left out: it does not run a model that comes as a script",
        "jax.jit is left out: it does not run models of torch",
    ]


def test_a_static_cache_is_for_a_decoders_step_alone() -> None:
    static, other = "torch.compile.static-cache", model("torch", "named")
    step = other.model_copy(
        update={"location": Location(path=Path("tiny"), form="named", kind="torch", library="hf-decode")}
    )
    assert static in timed_on(wanted(), step)
    assert static not in timed_on(wanted(), other)
    assert timed_on(wanted(static), step) == [static]
    assert left_out(wanted(static), step, []) == []
    assert left_out(wanted(static), other, []) == [
        f"{static} is left out: it does not run anything but a decoder's step"
    ]


def test_a_runtime_is_timed_on_one_export_by_name_as_in_a_study() -> None:
    asked, torch = wanted("torch.eager", "ort.cpu@torch-dynamo", "openvino", "openvino@tf2onnx"), model("torch")
    timed = timed_on(asked, torch)
    assert timed == ["torch.eager", "ort.cpu@torch-dynamo", "openvino", "openvino@tf2onnx"]
    assert runs_of(timed, ["torch-dynamo", "torch-script"]) == [
        ("torch.eager", ""),
        ("ort.cpu", "torch-dynamo"),
        ("openvino", "torch-dynamo"),
        ("openvino", "torch-script"),
    ]
    assert left_out(asked, torch, ["torch-dynamo", "torch-script"]) == [
        "openvino@tf2onnx is left out: the model has no export by tf2onnx, only by torch-dynamo, torch-script"
    ]


def test_a_native_runtime_runs_no_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"torch\.eager does not run exports"):
        compare_model(wanted("torch.eager@torch-dynamo"), tmp_path / "out", Narrator())
    assert not (tmp_path / "out").exists()


def test_a_route_does_not_apply_to_every_form() -> None:
    assert {name: one.not_for for name, one in EXPORTERS.items() if one.not_for} == {
        "torch-dynamo": ("script",),
        "torch-script": ("program",),
    }


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_on_a_gpu_the_runtimes_for_it_alone_are_timed_too_in_full_precision(kind: str) -> None:
    form = "onnx" if kind == "onnx" else "function"
    on_cpu = timed_on(wanted(), model(kind, form))
    on_gpu = timed_on(replace(wanted(), device="cuda"), model(kind, form))
    assert set(on_gpu) - set(on_cpu) == {"ort.cuda"}
    assert set(on_cpu) <= set(on_gpu)


def host(*gpus: str) -> Host:
    """A machine whose description says that it has these GPUs."""
    return cast("Host", SimpleNamespace(cores=lambda: (0, 1), environment=lambda: {"gpus": list(gpus)}))


def test_a_gpu_that_is_asked_for_has_to_be_there() -> None:
    asked = replace(wanted(), device="cuda")
    check_wanted(asked, host("NVIDIA H200"))
    with pytest.raises(InputError, match=r"--device cuda asks for a GPU.*found none.*Leave it out"):
        check_wanted(asked, host())
    with pytest.raises(InputError, match=r"--device is not a device.*cpu or cuda.*tpu"):
        check_wanted(replace(asked, device="tpu"), host("NVIDIA H200"))
    with pytest.raises(InputError, match=r"ort.cuda runs on a GPU alone.*--device cuda"):
        check_wanted(wanted("ort.cuda"), host("NVIDIA H200"))
