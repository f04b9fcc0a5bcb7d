"""A small transformer of Flax NNX."""

import jax.numpy as jnp
from flax import nnx

WORDS, WIDTH, LENGTH = 100, 32, 12


class Block(nnx.Module):
    def __init__(self, rngs):
        self.first, self.second = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.LayerNorm(WIDTH, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(4, WIDTH, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(WIDTH, 64, rngs=rngs), nnx.Linear(64, WIDTH, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.first(x))
        return x + self.down(nnx.gelu(self.up(self.second(x))))


class Transformer(nnx.Module):
    def __init__(self, rngs):
        self.words = nnx.Embed(WORDS, WIDTH, rngs=rngs)
        self.places = nnx.Embed(LENGTH, WIDTH, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(2)])
        self.out = nnx.Linear(WIDTH, 7, rngs=rngs)

    def __call__(self, ids):
        x = self.words(ids) + self.places(jnp.arange(LENGTH))
        for block in self.blocks:
            x = block(x)
        return self.out(x.mean(1))


def transformer():
    model = Transformer(nnx.Rngs(0))
    model.eval()
    return model
