"""What has to be the same for all frameworks is told to each in one file, and is what was asked for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.infer.runtimes import same_for_all
from assay.spec import Settings

FOLDER = Path(same_for_all.__file__).parent
TOLD = {
    "set_num_threads", "set_num_interop_threads", "allow_tf32", "set_float32_matmul_precision",
    "set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads", "enable_tensor_float_32_execution",
    "intra_op_num_threads", "inter_op_num_threads", "sched_setaffinity",
}  # fmt: skip
"""Attributes by which frameworks are told; reading them is anybody's."""


def told_in(path: Path) -> set[str]:
    """Those of them that a file calls or sets."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    stored = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    return {node.attr for node in (*called, *stored) if isinstance(node, ast.Attribute)} & TOLD


ELSEWHERE = {
    "server/triton_guard.py": "a script without Assay, which pins what it starts",
    "server/opened/on_ort.py": "runs in the server's own Python and obeys the deployed configuration",
    "server/opened/on_tf.py": "the same",
    "server/opened/on_torch.py": "the same",
}
"""Of all that runs models, what tells a framework or the system by itself, with why."""


def test_nothing_that_runs_a_model_tells_a_framework_or_pins_by_itself() -> None:
    infer = FOLDER.parent
    assert told_in(FOLDER / "same_for_all.py") == TOLD - {"set_float32_matmul_precision"}
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
