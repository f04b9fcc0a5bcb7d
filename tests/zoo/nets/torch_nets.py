"""Modules in reduced precision, as people have them."""

import torch
from torch import nn


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 5)).eval()


def half():
    return plain().half()


def dynamic_int8():
    return torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear}, torch.qint8)
