"""PyTorch modules that do what an exporter or a comparison may not expect, each a few lines long."""

import dataclasses
import typing

import torch
from torch import nn
from torch.nn import functional


def layers(first=8, last=5):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(first, 16), nn.GELU(), nn.Linear(16, last))


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0]


class OwnGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = layers()

    def forward(self, x):
        return Square.apply(self.layers(x))


class CountsCalls(nn.Module):
    """Its buffer changes in every call, and no output depends on it."""

    def __init__(self):
        super().__init__()
        self.layers = layers()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.calls += 1
        return self.layers(x)


class LazyTable(nn.Module):
    """It makes its table of positions in its first call, and keeps it."""

    def __init__(self):
        super().__init__()
        self.layers, self.table = layers(), None

    def forward(self, x):
        if self.table is None or len(self.table) < x.shape[1]:
            places = torch.arange(x.shape[1], dtype=torch.float32)
            self.table = torch.outer(places, 1 / 100 ** (torch.arange(8) / 8)).cos()
        return self.layers(x + self.table[: x.shape[1]])


class LazyLayers(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))

    def forward(self, image):
        return self.layers(image)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.out = nn.Embedding(40, 8), nn.Linear(8, 40, bias=False)
        self.out.weight = self.words.weight

    def forward(self, ids):
        return self.out(torch.tanh(self.words(ids)))


class Loops(nn.Module):
    """Control flow that only a script keeps."""

    def __init__(self):
        super().__init__()
        self.layers = layers(8, 8)

    def forward(self, x):
        for _ in range(x.shape[1] // 2):
            x = self.layers(x)
        if x.dim() == 2:
            x = x * 2
        return x


def script():
    return torch.jit.script(Loops().eval())


class ScriptInside(nn.Module):
    """A script is one of its layers."""

    def __init__(self):
        super().__init__()
        self.first, self.loops = layers(8, 8), script()

    def forward(self, x):
        return {"y": self.loops(self.first(x))}


class Spectrum(nn.Module):
    """Complex numbers inside and none outside."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.filter = nn.Parameter(torch.randn(9, dtype=torch.complex64))

    def forward(self, x):
        return torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=16)


class WithoutNan(nn.Module):
    def forward(self, x):
        roots = torch.sqrt(x)
        return torch.where(torch.isnan(roots), torch.zeros_like(roots), roots)


class HalfInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = layers(8, 16), layers(16, 5)

    def forward(self, x):
        return self.last(self.first(x).half().float())


@dataclasses.dataclass
class Found:
    scores: torch.Tensor
    more: typing.Any = None


class Answers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = layers()

    def forward(self, *, left, right=None):
        y = self.layers(left if right is None else left - right)
        return {"found": Found(y, {"best": y.argmax(-1), "text": "a text", "count": 3}), "empty": None}


class Several(nn.Module):
    """It takes a list, and a dictionary in a dictionary."""

    def __init__(self):
        super().__init__()
        self.layers = layers()

    def forward(self, parts: list[torch.Tensor], batch):
        return self.layers(torch.cat([*parts, batch["image"]["left"]], 1) * batch["scale"])


class Large(nn.Module):
    def forward(self, x):
        return {"large": x * 1e36, "small": x * 1e-37, "both": torch.stack([x[:, 0] * 1e30, x[:, 1] * 1e-30], 1)}


class Overflows(nn.Module):
    """Infinite in fp32, and in no other precision."""

    def forward(self, x):
        return (x * 1e25) * (x * 1e25) * 1e-20


class Photo(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1))

    def forward(self, photo):
        image = photo.permute(0, 3, 1, 2).float() / 255
        image = functional.interpolate(image, size=(12, 12), mode="bilinear", align_corners=False, antialias=False)
        return self.layers((image - self.mean) / 0.225)


class WritesToInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = layers()

    def forward(self, x):
        x.mul_(2).add_(1)
        return self.layers(x)


class ReturnsInput(nn.Module):
    def forward(self, x):
        return x, x, x + 1


def plain_function(x, scale=2.0):
    return torch.softmax(x * scale, -1)


class Statistics(nn.Module):
    """Sums of many numbers that nearly cancel."""

    def forward(self, x):
        return {"var": x.var(1), "std": (x + 1000).std(1), "lse": torch.logsumexp(x * 50, 1), "cum": x.cumsum(1)}


class Sorted(nn.Module):
    def forward(self, x):
        values, places = torch.sort(x, 1, descending=True)
        top, which = torch.topk(x, 3, 1)
        return {"values": values, "places": places, "top": top, "which": which}


class StaysInTraining(nn.Module):
    """Its dropout is on whatever `eval` says."""

    def __init__(self):
        super().__init__()
        self.layers = layers()

    def forward(self, x):
        return functional.dropout(self.layers(x), 0.2)


class Recurrent(nn.Module):
    """It takes its state as a pair, and gives the next one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.LSTMCell(4, 8)

    def forward(self, x, state):
        hidden, carried = self.cell(x, state)
        return hidden, (hidden, carried)


class OfNumpy(nn.Module):
    """It leaves PyTorch in the middle, so that a trace has a constant there."""

    def forward(self, x):
        return x + torch.from_numpy(x.numpy().copy())


def compiled():
    return torch.compile(layers().eval())


def parallel():
    return nn.DataParallel(layers().eval())


class Gated(nn.Module):
    """A decision on the values, which a trace takes only one side of."""

    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x - 1


class Scalar(nn.Module):
    """A loss: it has no row for each input."""

    def forward(self, x, y):
        return functional.mse_loss(x, y)


class Unsigned(nn.Module):
    def forward(self, codes):
        return {"bits": codes.long() & 255, "parity": (codes.long() % 2).bool(), "share": codes.double() / 65535}


class NotGiven(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layers = layers(8, classes)

    def forward(self, x):
        return self.layers(x)
