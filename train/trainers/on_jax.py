"""Training in Flax NNX with Optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.tree_util import DictKey, KeyPath, tree_flatten_with_path, tree_map_with_path
from numpy.typing import NDArray

from assay.spec import ModelSpec
from assay.train.architectures import parameters
from assay.train.models.on_jax import flax_name, get_weights, load, put_weights
from assay.train.recipe import Recipe
from assay.train.trainers.trainer import FIRST_MOMENT, SECOND_MOMENT, STEPS, State
from assay.train.weights import Weights


class FlaxTrainer:
    """Trains an NNX module with Optax's AdamW in one jitted step; see `assay.train.trainers.trainer.Trainer`."""

    def __init__(self, spec: ModelSpec, recipe: Recipe, weights: Weights) -> None:
        self._spec, self._smoothing = spec, recipe.label_smoothing
        self._model = load(spec, weights)
        for _, module in nnx.iter_graph(self._model):
            if isinstance(module, nnx.BatchNorm):
                module.epsilon, module.momentum = recipe.norm_epsilon, recipe.norm_momentum
        # `optax.adamw` is this chain with a fixed learning rate; here the rate comes with each step.
        self._adamw = optax.chain(
            optax.scale_by_adam(b1=recipe.beta1, b2=recipe.beta2, eps=recipe.adam_epsilon),
            optax.add_decayed_weights(recipe.weight_decay, mask=_kernels),
        )
        self._graph, self._params, self._rest = nnx.split(self._model, nnx.Param, ...)
        self._optimizer_state = self._adamw.init(self._params)
        self._compiled_step = jax.jit(self._train_step)
        self._compiled_logits = jax.jit(self._forward)

    def step(self, images: NDArray[np.float32], labels: NDArray[np.int64], learning_rate: float) -> float:
        self._params, self._rest, self._optimizer_state, loss = self._compiled_step(
            self._params, self._rest, self._optimizer_state, images, labels, learning_rate
        )
        return float(loss)

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._compiled_logits(self._params, self._rest, images))

    def weights(self) -> Weights:
        nnx.update(self._model, self._params, self._rest)
        return get_weights(self._model, self._spec)

    def state(self) -> State:
        state = dict(self.weights())
        shapes = {parameter.name: parameter.shape for parameter in parameters(self._spec)}
        adam = self._optimizer_state[0]
        for prefix, moments in ((FIRST_MOMENT, adam.mu), (SECOND_MOMENT, adam.nu)):
            for path, moment in tree_flatten_with_path(moments)[0]:
                name = self._canonical_name(path)
                state[prefix + name] = np.array(moment, np.float32).reshape(shapes[name])
        state[STEPS] = np.array([int(adam.count)], np.float32)
        return state

    def restore(self, state: State) -> None:
        put_weights(self._model, self._spec, {p.name: state[p.name] for p in parameters(self._spec)})
        self._graph, self._params, self._rest = nnx.split(self._model, nnx.Param, ...)

        def restored(prefix: str, moments: nnx.State) -> nnx.State:
            return tree_map_with_path(
                lambda path, old: jnp.asarray(state[prefix + self._canonical_name(path)]).reshape(old.shape),
                moments,
            )

        adam, *others = self._optimizer_state
        adam = adam._replace(
            count=jnp.asarray(int(state[STEPS][0]), jnp.int32),
            mu=restored(FIRST_MOMENT, adam.mu),
            nu=restored(SECOND_MOMENT, adam.nu),
        )
        self._optimizer_state = (adam, *others)

    def _train_step(
        self,
        params: nnx.State,
        rest: nnx.State,
        optimizer_state: optax.OptState,
        images: jax.Array,
        labels: jax.Array,
        learning_rate: float,
    ) -> tuple[nnx.State, nnx.State, optax.OptState, jax.Array]:
        def loss_of(params: nnx.State) -> tuple[jax.Array, nnx.State]:
            model = nnx.merge(self._graph, params, rest, copy=True)
            model.train()
            logits = model(images)
            targets = optax.smooth_labels(jax.nn.one_hot(labels, self._spec.classes), self._smoothing)
            loss = optax.softmax_cross_entropy(logits, targets).mean()
            return loss, nnx.split(model, nnx.Param, ...)[2]

        (loss, rest), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, optimizer_state = self._adamw.update(gradients, optimizer_state, params)
        updates = jax.tree.map(lambda update: -learning_rate * update, updates)
        return optax.apply_updates(params, updates), rest, optimizer_state, loss

    def _forward(self, params: nnx.State, rest: nnx.State, images: jax.Array) -> jax.Array:
        model = nnx.merge(self._graph, params, rest)
        model.eval()
        return model(images)

    def _canonical_name(self, path: KeyPath) -> str:
        names = {flax_name(parameter): parameter.name for parameter in parameters(self._spec)}
        return names[_name(path).replace("layers.layers.", "layers.")]


def _name(path: KeyPath) -> str:
    return ".".join(str(key.key) for key in path if isinstance(key, DictKey))


def _kernels(params: nnx.State) -> nnx.State:
    """Return a tree of the same form that is True for the arrays that decay."""
    return tree_map_with_path(lambda path, _: _name(path).endswith("kernel"), params)
