"""Which layers of a PyTorch model compute as in training though the model is in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from assay.train.brought.model import Location  # noqa: E402
from assay.train.brought.narrow.on_torch import narrow_arithmetic  # noqa: E402
from assay.train.brought.training.on_torch import layers_in_training, layers_switched  # noqa: E402
from assay.train.brought.training.words import as_in_training, few, out_of_training  # noqa: E402

X = torch.ones(5, 4)


class Stubborn(nn.Sequential):
    """Layers that no eval() reaches."""

    def train(self, mode: bool = True) -> Stubborn:
        del mode
        return self


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def normalised(x: Tensor) -> Tensor:
    return nn.functional.batch_norm(x, None, None, training=True)


@pytest.mark.parametrize(
    ("module", "layers"),
    [
        (nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.LayerNorm(4)), ()),
        (nn.BatchNorm1d(4, track_running_stats=False), ("itself (BatchNorm1d, track_running_stats=False)",)),
        (Stubborn(nn.Linear(4, 4), nn.BatchNorm1d(4)), ("1 (BatchNorm1d)",)),
        (nn.Sequential(nn.BatchNorm1d(4), Stubborn(nn.Dropout(0.3))), ("1.0 (Dropout)",)),
        (Calls(normalised), ("batch_norm(training=True)",)),
        (Calls(nn.functional.dropout), ("dropout(train=True)",)),
        (Calls(lambda x: nn.functional.dropout(x, training=False)), ()),
    ],
)
def test_layers_that_compute_as_in_training_are_named(module: nn.Module, layers: tuple[str, ...]) -> None:
    module.eval()
    with narrow_arithmetic() as seen:
        module(X)
    assert layers_in_training(module, seen.kernels) == layers


@pytest.mark.filterwarnings("ignore")
def test_a_script_traced_in_training_mode_shows_its_operators() -> None:
    module = torch.jit.trace(nn.BatchNorm1d(4), X).eval()
    with narrow_arithmetic() as seen:
        module(X)
    assert layers_in_training(module, seen.kernels) == ("batch_norm(training=True)",)


def test_only_layers_that_evaluation_mode_changes_are_switched() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Dropout(0.1), nn.ReLU()))
    assert layers_switched(module) == ("1 (BatchNorm1d)", "2.0 (Dropout)")
    assert layers_switched(module.eval()) == ()


def test_the_advice_fits_what_can_be_changed() -> None:
    code = Location(path=Path("net.py"), form="function", function="build", kind="tf")
    assert out_of_training(code) == "Call the layers with training=False"
    assert out_of_training(Location(path=Path("net.pt"), form="script", kind="torch")).startswith("Export it again")
    assert as_in_training(["bn"]) == "bn computes as in training"
    assert as_in_training(["a", "b"]) == "a, b compute as in training"
    assert few(["a", "b", "c", "d", "e"]) == "a, b, c, 2 more"
