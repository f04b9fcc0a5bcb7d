"""Recurrent models of Keras."""

import keras


def masked_lstm():
    keras.utils.set_random_seed(0)
    ids = keras.Input((12,), dtype="int32", name="ids")
    x = keras.layers.Embedding(50, 8, mask_zero=True)(ids)
    return keras.Model(ids, keras.layers.Dense(4)(keras.layers.LSTM(16)(x)))
