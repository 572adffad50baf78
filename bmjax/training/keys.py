"""Random keys by name and step: never stored, so a resumed run needs none."""

import hashlib

import jax
from jax import Array


def key_for(seed: int, name: str, step: int | Array = 0) -> Array:
    """One key, a pure function of (seed, name, step).

    Streams of different names are independent; `step` may be traced.
    """
    stream = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), stream), step)
