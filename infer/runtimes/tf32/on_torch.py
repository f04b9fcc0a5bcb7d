"""PyTorch on a GPU that may round fp32 to TF32 in products and convolutions, as it does by itself in the latter."""

from __future__ import annotations

from assay.infer.runtimes import on_torch
from assay.infer.runtimes.inductor import on_torch_compiled
from assay.infer.runtimes.same_for_all import in_tf32, let_torch_round

load_eager = in_tf32(on_torch.load_eager, let_torch_round)
load_channels_last = in_tf32(on_torch.load_channels_last, let_torch_round)
load_script = in_tf32(on_torch.load_script, let_torch_round)
load_compile = in_tf32(on_torch_compiled.load_compile, let_torch_round)
