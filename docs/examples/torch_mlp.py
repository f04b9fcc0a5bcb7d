"""A small classifier of 32 numbers in PyTorch: what a user's own model may look like."""

import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(32, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 10))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features)


def build() -> nn.Module:
    """Assay calls this in every process that runs the model. Your own would load trained weights here."""
    return Classifier()
