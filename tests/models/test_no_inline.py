"""What is kept apart is still apart in the compiled program."""

import re

import jax
import jax.numpy as jnp

from bmjax.models.no_inline import apart, computed_once, gradient_computed_once


def test_neighbors_do_not_join_the_loop():
    def around(inside, x):
        return jnp.maximum(inside(jnp.maximum(x, 0)), 1)

    def loop(x):
        return x[:, 1:] * 2 + x[:, :-1] * 3

    x = jnp.arange(12.0).reshape(3, 4)
    joined = jax.jit(lambda x: around(loop, x))
    kept = jax.jit(lambda x: around(lambda x: apart(loop, x), x))
    assert " call(" not in joined.lower(x).compile().as_text()
    assert " call(" in kept.lower(x).compile().as_text()
    assert jnp.array_equal(joined(x), kept(x))


def test_a_chain_of_sums_is_not_computed_anew_in_every_loop():
    def chain(x, keep):
        for _ in range(6):
            centered = x - x.mean(axis=-1, keepdims=True)
            x = keep(x + jnp.tanh(centered) @ jnp.ones((4, 4)))
        return (x**2).sum()

    x = jnp.arange(12.0).reshape(3, 4) / 12
    kept = jax.jit(jax.value_and_grad(lambda x: chain(x, computed_once)))
    left = jax.jit(jax.value_and_grad(lambda x: chain(x, lambda x: x)))
    most = most_inputs(kept.lower(x).compile().as_text())
    assert most <= 6 < most_inputs(left.lower(x).compile().as_text())
    for one, other in zip(kept(x), left(x), strict=True):
        assert jnp.allclose(one, other, rtol=1e-5)


def most_inputs(program):
    """Of all the loops in a compiled program."""
    loops = re.findall(r"^%fused_computation[^\n]*", program, re.MULTILINE)
    return max(len(re.findall(r"param[\w.]*: ", loop)) for loop in loops)


def test_a_gradient_that_is_computed_once_is_the_same():
    def loss(x, keep):
        return jnp.sum(jnp.tanh(keep(x) ** 2) @ jnp.ones((4, 2)))

    x = jnp.arange(12.0).reshape(3, 4) / 12
    kept = jax.grad(lambda x: loss(x, gradient_computed_once))(x)
    assert jnp.allclose(kept, jax.grad(lambda x: loss(x, lambda x: x))(x), rtol=1e-6)
