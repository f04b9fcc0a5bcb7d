"""Training in Keras on TensorFlow."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from assay.spec import ModelSpec
from assay.train.architectures import Parameter, parameters
from assay.train.models.on_tf import build, get_weights, put_weights, variable_name, variables_by_name
from assay.train.recipe import Recipe
from assay.train.trainers.trainer import FIRST_MOMENT, SECOND_MOMENT, STEPS, State
from assay.train.weights import Weights


class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW with epsilon where Kingma & Ba's algorithm 1 has it, and where PyTorch and Optax have it.

    Keras adds epsilon to the square root of the second moment before its bias correction, which makes it up to
    30 times larger in the first steps (its documentation calls this "epsilon hat").
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        step = keras.ops.cast(self.iterations + 1, variable.dtype)
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        self.assign_add(first, (gradient - first) * (1 - self.beta_1))
        self.assign_add(second, (keras.ops.square(gradient) - second) * (1 - self.beta_2))
        first_corrected = first / (1 - keras.ops.power(self.beta_1, step))
        second_corrected = second / (1 - keras.ops.power(self.beta_2, step))
        change = first_corrected / (keras.ops.sqrt(second_corrected) + self.epsilon)
        self.assign_sub(variable, keras.ops.cast(learning_rate, variable.dtype) * change)


class KerasTrainer:
    """Trains a Keras model in a `tf.function`; see `assay.train.trainers.trainer.Trainer`."""

    def __init__(self, spec: ModelSpec, recipe: Recipe, weights: Weights) -> None:
        self._spec = spec
        self._model = build(spec)
        for layer in self._model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.epsilon, layer.momentum = recipe.norm_epsilon, recipe.norm_momentum
        put_weights(self._model, spec, weights)
        self._variables = variables_by_name(self._model)
        self._optimizer = AdamW(
            learning_rate=0.0,
            beta_1=recipe.beta1,
            beta_2=recipe.beta2,
            epsilon=recipe.adam_epsilon,
            weight_decay=recipe.weight_decay,
        )
        spared = [self._variables[variable_name(p)] for p in self._trained() if not p.decayed]
        self._optimizer.exclude_from_weight_decay(var_list=spared)
        self._optimizer.build(self._model.trainable_variables)
        self._loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
        self._compiled_step = tf.function(self._train_step, reduce_retracing=True)
        self._compiled_logits = tf.function(self._forward, reduce_retracing=True)

    def step(self, images: NDArray[np.float32], labels: NDArray[np.int64], learning_rate: float) -> float:
        self._optimizer.learning_rate.assign(learning_rate)
        return float(self._compiled_step(images, keras.utils.to_categorical(labels, self._spec.classes)))

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._compiled_logits(images).numpy()

    def weights(self) -> Weights:
        return get_weights(self._model, self._spec)

    def state(self) -> State:
        state = dict(self.weights())
        for parameter in self._trained():
            for prefix, moment in self._moments(parameter):
                state[prefix + parameter.name] = np.array(moment, np.float32).reshape(parameter.shape)
        state[STEPS] = np.array([int(self._optimizer.iterations)], np.float32)
        return state

    def restore(self, state: State) -> None:
        put_weights(self._model, self._spec, {p.name: state[p.name] for p in parameters(self._spec)})
        for parameter in self._trained():
            for prefix, moment in self._moments(parameter):
                moment.assign(state[prefix + parameter.name].reshape(moment.shape))
        self._optimizer.iterations.assign(int(state[STEPS][0]))

    def _train_step(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = self._loss(targets, self._model(images, training=True))
        variables = self._model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def _forward(self, images: tf.Tensor) -> tf.Tensor:
        return self._model(images, training=False)

    def _trained(self) -> list[Parameter]:
        return [parameter for parameter in parameters(self._spec) if parameter.trained]

    def _moments(self, parameter: Parameter) -> list[tuple[str, keras.Variable]]:
        index = self._optimizer._get_variable_index(self._variables[variable_name(parameter)])
        return [
            (FIRST_MOMENT, self._optimizer._momentums[index]),
            (SECOND_MOMENT, self._optimizer._velocities[index]),
        ]
