"""The architectures in PyTorch (`torch.nn`), in NCHW.

Module paths are the canonical ones of `assay.train.architectures`; only the roles have other names here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from torch import Tensor, nn

from assay.spec import ModelSpec
from assay.train.architectures import (
    VIT_DEPTH,
    VIT_HEADS,
    Parameter,
    Weights,
    bloodnet_widths,
    parameters,
    patch_size,
    resnet18_widths,
    vit_widths,
)
from assay.train.weights import LAYER_NORM_EPSILON, NORM_EPSILON, check_weights

TORCH_ROLES = {
    "kernel": "weight",
    "scale": "weight",
    "offset": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}


class BatchNorm(nn.BatchNorm2d):
    """BatchNorm whose running variance is the biased one, as in Keras and Flax (PyTorch's own is unbiased)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (images, channels, height, width); in training, update the running variance with the biased one."""
        if not self.training:
            return super().forward(x)
        count = x.numel() / x.shape[1]
        kept = self.running_var * (1 - self.momentum)
        unbiased = self.running_var.clone()
        normalised = F.batch_norm(x, self.running_mean, unbiased, self.weight, self.bias, True, self.momentum, self.eps)
        self.running_var.copy_(kept + (unbiased - kept) * (count - 1) / count)
        return normalised


class ConvUnit(nn.Module):
    """Convolution without bias, symmetric padding, BatchNorm."""

    def __init__(self, width_in: int, width_out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = BatchNorm(width_out, eps=NORM_EPSILON, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class BloodStage(nn.Module):
    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.unit1 = ConvUnit(width_in, width_out)
        self.unit2 = ConvUnit(width_out, width_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.unit2(F.relu(self.unit1(x))))


class BloodNet(nn.Module):
    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        first, second, third = bloodnet_widths(spec)
        self.stage1 = BloodStage(spec.channels, first)
        self.stage2 = BloodStage(first, second)
        self.stage3 = BloodStage(second, third)
        self.head = nn.Linear(third, spec.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (images, classes) of images (images, channels, height, width)."""
        x = F.max_pool2d(self.stage1(x), 2)
        x = F.max_pool2d(self.stage2(x), 2)
        return self.head(self.stage3(x).mean((2, 3)))


class ResidualBlock(nn.Module):
    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.unit1 = ConvUnit(width_in, width_out, stride=stride)
        self.unit2 = ConvUnit(width_out, width_out)
        projected = width_in != width_out
        self.shortcut = ConvUnit(width_in, width_out, kernel=1, stride=stride) if projected else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.unit2(F.relu(self.unit1(x))) + self.shortcut(x))


class ResidualStage(nn.Module):
    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(width_in, width_out, stride)
        self.block2 = ResidualBlock(width_out, width_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.block2(self.block1(x))


class ResNet18(nn.Module):
    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        first, second, third, fourth = resnet18_widths(spec)
        self.stem = ConvUnit(spec.channels, first, kernel=7, stride=2)
        self.stage1 = ResidualStage(first, first, 1)
        self.stage2 = ResidualStage(first, second, 2)
        self.stage3 = ResidualStage(second, third, 2)
        self.stage4 = ResidualStage(third, fourth, 2)
        self.head = nn.Linear(fourth, spec.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (images, classes) of images (images, channels, height, width)."""
        x = F.max_pool2d(F.relu(self.stem(x)), 3, stride=2, padding=1)
        x = self.stage4(self.stage3(self.stage2(self.stage1(x))))
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend with all heads, from and to (images, tokens, width)."""
        query, key, value = (
            part(x).unflatten(-1, (VIT_HEADS, part.out_features // VIT_HEADS)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        heads = F.scaled_dot_product_attention(query, key, value)
        return self.out(heads.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.attention = Attention(width)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


class VitTiny(nn.Module):
    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        edge = patch_size(spec)
        width, hidden = vit_widths(spec)
        self.patch = nn.Conv2d(spec.channels, width, edge, stride=edge)
        self.position = nn.Parameter(torch.zeros((spec.size // edge) ** 2, width))
        self.layers = nn.Sequential(*(EncoderLayer(width, hidden) for _ in range(VIT_DEPTH)))
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.head = nn.Linear(width, spec.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (images, classes) of images (images, channels, height, width)."""
        tokens = self.patch(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.layers(tokens)).mean(1))


MODELS: dict[str, type[nn.Module]] = {"bloodnet": BloodNet, "resnet18": ResNet18, "vit-tiny": VitTiny}


def build(spec: ModelSpec) -> nn.Module:
    """Build the model with meaningless weights; call `put_weights` next."""
    return MODELS[spec.architecture](spec)


def load(spec: ModelSpec, weights: Weights, dtype: str = "float32") -> nn.Module:
    """Load the model in evaluation mode with the given weights; it maps (batch, C, H, W) to logits (batch, classes).

    Args:
        dtype: "float32", or "float64" for the reference.

    Raises:
        ArtifactError: the weights do not fit the model.
    """
    model = build(spec)
    put_weights(model, spec, weights)
    return model.to(getattr(torch, dtype)).eval().requires_grad_(False)


def tensor_name(parameter: Parameter) -> str:
    """Return the name of a parameter in a PyTorch state dict."""
    role = TORCH_ROLES.get(parameter.role, parameter.role)
    return f"{parameter.module}.{role}".lstrip(".")


def to_torch_layout(array: Tensor) -> Tensor:
    """Permute HWIO to OIHW, (in, out) to (out, in)."""
    return array.permute(3, 2, 0, 1) if array.ndim == 4 else array.T


def to_canonical_layout(array: Tensor) -> Tensor:
    """Permute OIHW to HWIO, (out, in) to (in, out)."""
    return array.permute(2, 3, 1, 0) if array.ndim == 4 else array.T


def put_weights(model: nn.Module, spec: ModelSpec, weights: Weights) -> None:
    """Copy neutral weights into a model.

    Raises:
        ArtifactError: the weights do not fit.
    """
    check_weights(spec, weights)
    tensors = model.state_dict()
    with torch.no_grad():
        for parameter in parameters(spec):
            array = torch.from_numpy(weights[parameter.name])
            tensors[tensor_name(parameter)].copy_(to_torch_layout(array) if parameter.role == "kernel" else array)


def get_weights(model: nn.Module, spec: ModelSpec) -> Weights:
    """Copy a model's weights out as neutral ones."""
    tensors = model.state_dict()
    found: Weights = {}
    for parameter in parameters(spec):
        tensor = tensors[tensor_name(parameter)].detach().float()
        tensor = to_canonical_layout(tensor) if parameter.role == "kernel" else tensor
        found[parameter.name] = tensor.contiguous().numpy().copy()
    return found
