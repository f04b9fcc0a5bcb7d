"""A small classifier of 256 numbers in PyTorch: what a user's own model may look like."""

import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 1024), nn.GELU(), nn.Linear(1024, 10)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features)


def build() -> nn.Module:
    """Assay calls this in every process that runs the model. Your own would load trained weights here."""
    return Classifier()


if __name__ == "__main__":
    torch.manual_seed(0)
    model, example = build().eval(), torch.zeros(2, 256)
    torch.jit.save(torch.jit.trace(model, example), "classifier.pt")
    any_batch = {"features": {0: torch.export.Dim("batch")}}
    torch.export.save(torch.export.export(model, (example,), dynamic_shapes=any_batch), "classifier.pt2")
