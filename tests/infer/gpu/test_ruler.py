"""The calibrated runtime of a GPU, with the CPU in the GPU's place."""

from __future__ import annotations

import numpy as np
import pytest

from assay.infer.gpu import on_torch_ruler
from assay.infer.gpu.on_torch_ruler import PRODUCTS
from assay.infer.runtime import ModelFiles
from assay.registry import RUNTIMES
from assay.runtimes import rulers
from assay.runtimes.entry import RuntimeEntry
from assay.spec import ModelSpec, Settings
from assay.train.built import BuiltModel

FILES = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 4, 5)))
ON_GPU = Settings(device="cuda")


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The products that are launched."""
    made: list[object] = []
    cpu = on_torch_ruler.torch.device("cpu")
    monkeypatch.setattr(on_torch_ruler, "torch_device", lambda settings: cpu)
    monkeypatch.setattr(on_torch_ruler, "SIDE", 2)
    monkeypatch.setattr(on_torch_ruler.torch, "mm", lambda left, right, out: made.append(out))
    return made


@pytest.mark.parametrize(
    ("entry", "count"), [(rulers.CALIBRATED, 100), (rulers.SLOWER_3, 103), (rulers.SLOWER_10, 110)]
)
def test_a_planted_slowdown_is_that_many_more_products_of_a_fake_gpu(
    entry: RuntimeEntry, count: int, products: list[object]
) -> None:
    assert PRODUCTS == 100
    session = RUNTIMES[entry.name].load()(FILES, ON_GPU)
    native = session.prepare(np.zeros((2, 4, 4, 3), np.float32))
    assert session.fetch(session.run(native)).tolist() == [[0.0] * 5] * 2
    assert len(products) == count
    assert session.facts == {"products": str(count)}


@pytest.mark.usefixtures("products")
def test_it_says_where_it_computes() -> None:
    session = rulers.CALIBRATED.load()(FILES, ON_GPU)
    assert session.observe(session.prepare(np.zeros((1, 4, 4, 3), np.float32))).device == "cpu"
    assert rulers.CALIBRATED.asked_device("cuda") == "cuda"
    assert rulers.NULL.asked_device("cuda") == "cpu"


def test_on_the_processor_it_is_the_same_as_before() -> None:
    assert "additions" in rulers.CALIBRATED.load()(FILES, Settings()).facts
