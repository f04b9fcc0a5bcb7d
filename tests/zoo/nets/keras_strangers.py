"""Keras models of kinds that a converter may not expect."""

import keras
import numpy as np
import tensorflow as tf


def two_inputs():
    keras.utils.set_random_seed(0)
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    both = keras.layers.Concatenate()([keras.layers.Dense(4)(left), keras.layers.Multiply()([left, right])])
    return keras.Model({"left": left, "right": right}, {"y": keras.layers.Dense(3)(both), "sum": both})


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner, self.last = keras.layers.Dense(8, "gelu"), keras.layers.Dense(3)

    def call(self, x, mask=None, training=False):
        return {"y": self.last(self.inner(x)), "hidden": self.inner(x)}


def subclassed():
    keras.utils.set_random_seed(0)
    return Subclassed()


class Parts(keras.Model):
    """A class whose `call` takes a dictionary."""

    def __init__(self):
        super().__init__()
        self.last = keras.layers.Dense(3)

    def call(self, batch):
        return self.last(keras.ops.concatenate([batch["a"], batch["b"]], -1))


def parts():
    keras.utils.set_random_seed(0)
    return Parts()


@keras.saving.register_keras_serializable("zoo")
class Scale(keras.layers.Layer):
    def __init__(self, factor, **named):
        super().__init__(**named)
        self.factor = factor

    def build(self, shape):
        self.bias = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.factor + self.bias

    def get_config(self):
        return super().get_config() | {"factor": self.factor}


def own_layer():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6,), name="x"), Scale(3.0), keras.layers.Dense(2)])


def masked_gru():
    keras.utils.set_random_seed(0)
    x = keras.Input((10, 4), name="x")
    y = keras.layers.Bidirectional(keras.layers.GRU(6))(keras.layers.Masking(0.0)(x))
    return keras.Model(x, keras.layers.Dense(2)(y))


def stateful():
    keras.utils.set_random_seed(0)
    x = keras.Input(batch_shape=(2, 5, 3), name="x")
    return keras.Model(x, keras.layers.LSTM(4, stateful=True)(x))


def with_lambda():
    x = keras.Input((6,), name="x")
    return keras.Model(x, keras.layers.Lambda(lambda one: tf.math.log1p(tf.abs(one)) * 2)(x))


def prepares_images():
    keras.utils.set_random_seed(0)
    x = keras.Input((20, 20, 3), dtype="uint8", name="photo")
    y = keras.layers.Rescaling(1 / 127.5, -1)(keras.layers.Resizing(12, 12)(x))
    y = keras.layers.RandomFlip()(keras.layers.CenterCrop(10, 10)(y))
    return keras.Model(x, keras.layers.Conv2D(3, 3)(y))


def normalises():
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(5, 3, (100, 6)).astype("float32"))
    x = keras.Input((6,), name="x")
    return keras.Model(x, keras.layers.Dense(2, kernel_initializer="ones")(layer(x)))


def bins():
    x = keras.Input((4,), name="x")
    y = keras.layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0])(x)
    return keras.Model(x, keras.layers.CategoryEncoding(4, output_mode="multi_hot")(y))


def vectorises():
    layer = keras.layers.TextVectorization(output_sequence_length=6, vocabulary=["red", "green", "blue"])
    x = keras.Input((), dtype="string", name="text")
    return keras.Model(x, keras.layers.Embedding(5, 4)(layer(x)))


def attends():
    keras.utils.set_random_seed(0)
    x = keras.Input((7, 16), name="x")
    y = keras.layers.MultiHeadAttention(2, 8)(x, x, use_causal_mask=True)
    y = keras.layers.LayerNormalization()(x + y)
    return keras.Model(x, keras.layers.TimeDistributed(keras.layers.Dense(3, "softmax"))(y))


def moves():
    keras.utils.set_random_seed(0)
    x = keras.Input((3, 6, 6, 2), name="film")
    return keras.Model(x, keras.layers.ConvLSTM2D(3, 3, padding="same")(x))


def of_everything():
    keras.utils.set_random_seed(0)
    x = keras.Input((12, 12, 4), name="x")
    y = keras.layers.SeparableConv2D(6, 3, padding="same", activation="swish")(x)
    y = keras.layers.GroupNormalization(2)(keras.layers.UpSampling2D(interpolation="bilinear")(y))
    y = keras.layers.Conv2DTranspose(3, 3, strides=2)(keras.layers.AveragePooling2D(2)(y))
    return keras.Model(x, keras.layers.GlobalMaxPooling2D()(keras.layers.SpatialDropout2D(0.5)(y)))


class Nested(tf.Module):
    """A tf.function that declares a dictionary and a list."""

    @tf.function(
        input_signature=[
            {"b": tf.TensorSpec([None, 3]), "a": tf.TensorSpec([None, 3])},
            [tf.TensorSpec([None, 3]), tf.TensorSpec([None, 3])],
        ]
    )
    def __call__(self, batch, more):
        return batch["a"] - 2 * batch["b"] + 3 * more[0] - 4 * more[1]


def nested():
    return Nested()


@tf.function(input_signature=[tf.TensorSpec([None, 16])])
def spectrum(x):
    return tf.abs(tf.signal.rfft(x))


@tf.function(input_signature=[tf.TensorSpec(None, name="x")])
def any_rank(x):
    return tf.nn.relu(x) * 2


@tf.function(input_signature=[tf.TensorSpec([None, 6], name="x")])
def loops(x):
    for _ in tf.range(3):
        x = tf.cond(tf.reduce_all(x > -10), lambda: x * 1.5, lambda: x)  # noqa: B023
    return x


def table():
    keys, values = tf.constant([1, 2, 3], tf.int64), tf.constant([0.1, 0.2, 0.3])
    known = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -1.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.int64, name="ids")])
    def look_up(ids):
        return known.lookup(ids)

    return look_up
