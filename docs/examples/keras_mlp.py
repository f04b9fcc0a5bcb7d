"""A small classifier of 256 numbers in Keras: a function that returns a model, and one that saves it."""

import keras


def build() -> keras.Model:
    """Assay calls this in every process that runs the model. Your own would load trained weights here."""
    return keras.Sequential(
        [
            keras.Input((256,), name="features"),
            keras.layers.Dense(1024, activation="gelu"),
            keras.layers.Dense(1024, activation="gelu"),
            keras.layers.Dense(10, name="scores"),
        ]
    )


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = build()
    model.save("classifier.keras")
    model.export("classifier", verbose=False)
