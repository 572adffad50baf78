"""What is kept apart is still apart in the compiled program."""

import jax
import jax.numpy as jnp

from bmjax.models.conv.no_inline import apart


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
