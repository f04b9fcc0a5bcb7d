"""Modules in reduced precision, and with outputs of every kind, as people have them."""

import torch
from torch import nn


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 5)).eval()


def half():
    return plain().half()


def dynamic_int8():
    return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear}, torch.qint8)


class Boxes(nn.Module):
    """Forty boxes of x, of which those with a high score are returned, the highest first."""

    def __init__(self):
        super().__init__()
        self.boxes = nn.Linear(8, 200)

    def forward(self, x):
        found = torch.sigmoid(self.boxes(x)).reshape(40, 5)
        found = found[found[:, 4] > 0.6]
        found = found[found[:, 4].argsort(descending=True)]
        return {"boxes": found[:, :4], "scores": found[:, 4]}


def boxes():
    torch.manual_seed(0)
    return Boxes().eval()


class Spectrum(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = plain()

    def forward(self, x):
        y = self.layers(x)
        return {"y": y, "spectrum": torch.fft.fft(y)}


def spectrum():
    return Spectrum().eval()
