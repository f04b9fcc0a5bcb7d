"""Compares a PyTorch module that lives in this script with its exports, and looks at what was found."""

import torch

import assay


class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features)


if __name__ == "__main__":
    torch.manual_seed(0)
    found = assay.compare(
        Classifier(), torch.randn(32, 64), runtimes=["torch.eager", "ort.cpu"], minutes=0.5, quiet=True
    )
    print(found)
    print(found.cells.select("label", "batch", "host_median_ms_value", "agrees"))
    print(found.audit.passed)
    print(assay.read(found.folder).ratios)
