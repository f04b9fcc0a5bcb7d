"""Settings that have to be the same for all frameworks are applied in one file, and take effect."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.infer.runtimes import same_for_all
from assay.spec import Settings

FOLDER = Path(same_for_all.__file__).parent
TOLD = {
    "set_num_threads", "set_num_interop_threads", "allow_tf32", "set_float32_matmul_precision",
    "set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads", "enable_tensor_float_32_execution",
    "intra_op_num_threads", "inter_op_num_threads", "sched_setaffinity", "pin", "benchmark",
}  # fmt: skip
"""Attributes that configure frameworks; any file may read them."""
IN_THE_ENVIRONMENT = {
    "TF_CUDNN_USE_AUTOTUNE", "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE", "cudnn_conv_algo_search",
}  # fmt: skip
"""Names that configure them too, and appear nowhere else."""


def told_in(path: Path) -> set[str]:
    """Those of them that a file calls or sets."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    stored = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    names = {node.id for node in called if isinstance(node, ast.Name)}
    return (names | {node.attr for node in (*called, *stored) if isinstance(node, ast.Attribute)}) & TOLD


ELSEWHERE = {
    "server/triton_guard.py": "a script without Assay, which pins what it starts",
    "server/opened/on_ort.py": "runs in the server's own Python and obeys the deployed configuration",
    "server/opened/on_tf.py": "the same",
    "server/opened/on_torch.py": "the same",
    "server/opened/on_torch_package.py": "the same",
}
"""Files that run models and configure a framework or the system themselves, with the reason."""


def test_nothing_that_runs_a_model_tells_a_framework_or_pins_by_itself() -> None:
    infer = FOLDER.parent
    assert told_in(FOLDER / "same_for_all.py") == TOLD - {"set_float32_matmul_precision", "sched_setaffinity"}
    telling = {str(path.relative_to(infer)) for path in infer.rglob("*.py") if told_in(path)}
    assert telling == {"runtimes/same_for_all.py", *ELSEWHERE}


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_those_asked_for(threads: int) -> None:
    options = same_for_all.onnxruntime_options(Settings(threads))
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
    properties = same_for_all.openvino_properties(Settings(threads))
    assert (properties["INFERENCE_NUM_THREADS"], properties["NUM_STREAMS"]) == (threads, 1)


def test_a_device_that_it_does_not_run_on_is_refused() -> None:
    with pytest.raises(InputError, match="runs on the CPU only"):
        same_for_all.openvino_properties(Settings(device="cuda"))


def test_what_a_process_s_environment_says_of_a_gpu_is_said_in_one_place() -> None:
    infer = FOLDER.parent
    naming = {
        str(path.relative_to(infer))
        for path in infer.rglob("*.py")
        if any(name in path.read_text(encoding="utf-8") for name in IN_THE_ENVIRONMENT)
    }
    assert naming == {"runtimes/same_for_all.py"}


def test_a_gpu_is_hidden_by_the_same_words_everywhere() -> None:
    root = Path(__file__).parents[3]
    sources = [path for top in ("assay", "train", "export", "infer", "bench") for path in (root / top).rglob("*.py")]
    naming = {
        str(path.relative_to(root)) for path in sources if "CUDA_VISIBLE_DEVICES" in path.read_text(encoding="utf-8")
    }
    others = {"assay/boxed/boxing.py", "bench/fleet/on_ray.py", "infer/gpu/nvml.py"}
    why = (
        "the box asks whether CUDA is used, Ray sets it for its tasks, and the state of a GPU is that of the first seen"
    )
    assert naming == {"assay/spec.py", *others}, why


def test_on_a_gpu_all_choose_their_kernels_by_timing_and_take_memory_as_they_need_it() -> None:
    own = {"XLA_FLAGS": "--xla_gpu_autotune_level=0 --xla_dump_to=here", "HOME": "/home"}
    assert same_for_all.environment_for("cuda", own) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "XLA_FLAGS": "--xla_dump_to=here --xla_gpu_autotune_level=4",
        "TF_CUDNN_USE_AUTOTUNE": "1",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    assert same_for_all.CUDA_PROVIDER == {"use_tf32": "0", "cudnn_conv_algo_search": "EXHAUSTIVE"}


def test_on_the_cpu_no_framework_is_shown_a_gpu() -> None:
    assert same_for_all.environment_for("cpu", {}) == {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    assert same_for_all.told("cpu") == {}


def test_a_processs_settings_are_read_where_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_for_all, "run_on", list)
    for name in same_for_all.environment_for("cuda", {}):
        monkeypatch.delenv(name, raising=False)
    assert set(same_for_all.told("cuda").values()) <= {"not set", "False"}
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=here")
    for name, value in same_for_all.environment_for("cuda", os.environ).items():
        monkeypatch.setenv(name, value)
    found = same_for_all.told("cuda")
    assert found["XLA_FLAGS"] == "--xla_dump_to=here --xla_gpu_autotune_level=4"
    assert found["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def in_its_own_process(code: str, *words: str) -> str:
    """The output of a process that started as one of a study on a GPU, whose frameworks find none."""
    begun = "import os, sys\nfrom assay.infer.runtimes.same_for_all import *\nbegin((), 'cuda')\n"
    alone = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    told = alone | {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-c", begun + code, *words]
    return subprocess.run(command, env=told, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_pytorch_reports_its_settings() -> None:
    code = "import torch; print(told('cuda')['torch.backends.cudnn.benchmark']); tell_torch_of_gpu()\n"
    code += "print(told('cuda')['torch.backends.cudnn.benchmark'], torch.backends.cudnn.allow_tf32)\n"
    code += "let_torch_round(); print(torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)"
    assert in_its_own_process(code).split() == ["False", "True", "False", "True", "True"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "let_jax_round(); import jax; print(jax.config.jax_default_matmul_precision)",
        "let_tensorflow_round(); import tensorflow as tf; "
        "print(tf.config.experimental.tensor_float_32_execution_enabled())",
    ],
    ids=["jax", "tf"],
)
def test_the_others_say_that_they_may_round(code: str) -> None:
    assert in_its_own_process(code) in {"tensorfloat32", "True"}


def test_onnx_runtimes_provider_rounds_if_it_is_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake provider, listed once its libraries are loaded, whose packages are not where it looks by itself."""
    loaded: list[str] = []
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"] if loaded else [])
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: loaded.append("CUDA"))
    ((_, exact),), ((_, rounding),) = (same_for_all.onnxruntime_on_cuda(tf32=one) for one in (False, True))
    assert (exact["use_tf32"], rounding["use_tf32"]) == ("0", "1")
    assert {**exact, "use_tf32": "1"} == rounding
    assert loaded == ["CUDA", "CUDA"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "call",
    [
        "import jax, jax.numpy as jnp; jax.jit(lambda x: 2 * x + 1)(jnp.ones(3))",
        "import tensorflow as tf; tf.function(lambda x: 2 * x + 1, jit_compile=True)(tf.ones(3))",
    ],
    ids=["jax", "tf"],
)
def test_xla_reports_its_settings(call: str, tmp_path: Path) -> None:
    """It writes the options that it compiled with, and ends a process that gives it an unknown flag. Any level except
    its own, 4, is shown.
    """
    told = f"os.environ['XLA_FLAGS'] = os.environ['XLA_FLAGS'].replace('=4', '=3') + ' --xla_dump_to={tmp_path}'\n"
    in_its_own_process(told + call)
    options = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.debug_options")]
    assert options
    assert all("xla_gpu_autotune_level: 3" in one for one in options)
