"""Training in PyTorch."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name everyone uses
from numpy.typing import NDArray

from assay.spec import ModelSpec
from assay.train.architectures import Parameter, parameters
from assay.train.models.on_torch import (
    BatchNorm,
    build,
    get_weights,
    put_weights,
    tensor_name,
    to_canonical_layout,
    to_torch_layout,
)
from assay.train.recipe import Recipe
from assay.train.trainers.trainer import FIRST_MOMENT, SECOND_MOMENT, STEPS, State
from assay.train.weights import Weights


class TorchTrainer:
    """Trains with `torch.optim.AdamW`; see `assay.train.trainers.trainer.Trainer`."""

    def __init__(self, spec: ModelSpec, recipe: Recipe, weights: Weights) -> None:
        self._spec, self._recipe = spec, recipe
        self._model = build(spec).to(memory_format=torch.channels_last)
        for module in self._model.modules():
            if isinstance(module, BatchNorm):
                module.eps, module.momentum = recipe.norm_epsilon, 1 - recipe.norm_momentum
        put_weights(self._model, spec, weights)
        self._tensors = dict(self._model.named_parameters())
        self._optimizer = torch.optim.AdamW(
            self._groups(), lr=0.0, betas=(recipe.beta1, recipe.beta2), eps=recipe.adam_epsilon
        )

    def step(self, images: NDArray[np.float32], labels: NDArray[np.int64], learning_rate: float) -> float:
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        logits = self._model(torch.from_numpy(images).permute(0, 3, 1, 2))
        loss = F.cross_entropy(logits, torch.from_numpy(labels), label_smoothing=self._recipe.label_smoothing)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return float(loss)

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        self._model.eval()
        with torch.inference_mode():
            return self._model(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()

    def weights(self) -> Weights:
        return get_weights(self._model, self._spec)

    def state(self) -> State:
        state = dict(self.weights())
        for parameter in self._trained():
            kept = self._optimizer.state[self._tensors[tensor_name(parameter)]]
            for prefix, key in ((FIRST_MOMENT, "exp_avg"), (SECOND_MOMENT, "exp_avg_sq")):
                moment = to_canonical_layout(kept[key]) if parameter.role == "kernel" else kept[key]
                state[prefix + parameter.name] = moment.contiguous().numpy().copy()
            state[STEPS] = np.array([float(kept["step"])], np.float32)
        return state

    def restore(self, state: State) -> None:
        put_weights(self._model, self._spec, {p.name: state[p.name] for p in parameters(self._spec)})
        for parameter in self._trained():
            tensor = self._tensors[tensor_name(parameter)]
            kept = self._optimizer.state[tensor]
            kept["step"] = torch.tensor(float(state[STEPS][0]))
            for prefix, key in ((FIRST_MOMENT, "exp_avg"), (SECOND_MOMENT, "exp_avg_sq")):
                moment = torch.from_numpy(state[prefix + parameter.name])
                moment = to_torch_layout(moment) if parameter.role == "kernel" else moment
                kept[key] = torch.empty_like(tensor).copy_(moment)

    def _trained(self) -> list[Parameter]:
        return [parameter for parameter in parameters(self._spec) if parameter.trained]

    def _groups(self) -> list[dict[str, object]]:
        """Group the parameters: kernels decay, the others do not."""
        decay = {True: self._recipe.weight_decay, False: 0.0}
        return [
            {
                "params": [self._tensors[tensor_name(p)] for p in self._trained() if p.decayed is decayed],
                "weight_decay": decay[decayed],
            }
            for decayed in (True, False)
        ]
