"""JAX functions of kinds that a converter may not expect."""

import functools
import typing

import jax
import jax.numpy as jnp
import numpy as np

random = np.random.default_rng(0)
FIRST, LAST = (jnp.asarray(random.normal(0, 0.3, shape), jnp.float32) for shape in ((8, 16), (16, 5)))


def trees(batch, states):
    """Dictionaries and pairs in and out."""
    hidden = jnp.tanh(batch["image"] @ FIRST + states[0])
    return {"y": hidden @ LAST, "states": (hidden, states[1] + 1)}


class Carried(typing.NamedTuple):
    hidden: jax.Array
    steps: jax.Array


def scanned(xs):
    """A loop over time, (batch, time, 8)."""

    def step(carried, x):
        hidden = jnp.tanh(x @ FIRST[:, :16] + 0.5 * carried.hidden)
        return Carried(hidden, carried.steps + 1), hidden.mean(-1)

    first = Carried(jnp.zeros((xs.shape[0], 16)), jnp.zeros((), jnp.int32))
    last, means = jax.lax.scan(step, first, jnp.swapaxes(xs, 0, 1))
    return last.hidden @ LAST, means.T


@jax.custom_vjp
def clipped(x):
    return jnp.clip(x, -1, 1)


clipped.defvjp(lambda x: (clipped(x), None), lambda _, gradient: (gradient,))


def straight_through(x):
    return clipped(x @ FIRST) @ LAST


def narrow(x):
    return (jax.nn.gelu(x.astype(jnp.bfloat16) @ FIRST.astype(jnp.bfloat16)) @ LAST.astype(jnp.bfloat16)).astype(
        jnp.float32
    )


def closure():
    table = jnp.arange(40.0).reshape(10, 4)
    return jax.jit(lambda ids, scale=1.0: table[ids] * scale)


def whole(codes):
    return {"sum": codes.sum(-1), "shifted": codes << 2, "even": codes % 2 == 0, "best": codes.argmax(-1)}


def keyed(x):
    """The same noise in every call."""
    return x @ FIRST + 0.1 * jax.random.normal(jax.random.PRNGKey(7), (16,))


def with_key(x, key):
    """Its randomness is an input."""
    return x + jax.random.uniform(key, x.shape)


def vmapped(x, y):
    return jax.vmap(lambda one, other: jnp.outer(one, other).sum(0) + jnp.linalg.norm(one))(x, y)


def gradient(x):
    """The gradient of an energy, as in a model of forces."""
    energy = lambda one: jnp.sum(jnp.tanh(one @ FIRST) ** 2)  # noqa: E731
    return jax.vmap(jax.grad(energy))(x)


def spectrum(x):
    return jnp.abs(jnp.fft.rfft(x))


def searches(x):
    return {
        "sorted": jnp.sort(x, -1),
        "order": jnp.argsort(x, -1),
        "top": jax.lax.top_k(x, 2)[0],
        "any": (x > 2).any(-1),
    }


def until(x):
    """A loop whose end depends on the values."""
    return jax.lax.while_loop(lambda one: jnp.max(one) < 100, lambda one: one * 2 + 1, jnp.abs(x) + 1)


def chosen(x):
    return jax.lax.cond(x.sum() > 0, lambda one: one * 2, lambda one: one - 1, x)


def solved(a, b):
    return jnp.linalg.solve(a @ jnp.swapaxes(a, -1, -2) + 3 * jnp.eye(4), b[..., None])[..., 0]


@functools.partial(jax.jit, static_argnames="power")
def with_static(x, power=3):
    return x**power


def loss(x, y):
    return jnp.mean((x - y) ** 2)


partial = functools.partial(lambda weights, x: x @ weights["first"], {"first": FIRST})
