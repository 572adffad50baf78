"""The prototype that is nearest to a cell, where the run's method has prototypes."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.devices.mesh import make_mesh, replicated
from bmjax.models.heads import HEADS, project_features
from bmjax.training.run_config import read_run_config
from bmjax.training.trained_network import read_run

_ATLAS_FILE = "atlas.json"  # that a run with prototypes has, and no other


class Prototypes(NamedTuple):
    """Prototypes of a run, and how features are compared with them.

    Attributes:
        compare: features float [B, F] -> cosines with the prototypes, [B, K].
    """

    compare: Callable[[np.ndarray], jax.Array]

    def nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the nearest prototypes, as in atlas.json, and cosines, [B] each.

        Args:
            features: float [B, F], of the run's network.
        """
        cosines = np.asarray(self.compare(features))
        first = cosines.argmax(axis=1)
        return first, cosines[np.arange(len(first)), first]


def read_prototypes(run: Path) -> Prototypes | None:
    """Read a run's prototypes and the head that maps features beside them.

    Args:
        run: its workdir, or a file of weights.

    Returns:
        None for a file, and for a run without prototypes or a head.

    Raises:
        CheckpointError: the run's checkpoint or configuration is damaged.
    """
    if not (run / _ATLAS_FILE).exists():
        return None
    weights = read_run(run, replicated(make_mesh(1)))
    kind = read_run_config(run).model.head
    if kind not in HEADS or not {"head", "prototypes"} <= {*weights.params}:
        return None
    head, statistics = weights.params["head"], weights.batch_stats.get("head", {})
    directions = _unit(jnp.asarray(weights.params["prototypes"], jnp.float32), axis=0)

    @jax.jit
    def compare(features: jax.Array) -> jax.Array:
        embedded = project_features(kind, head, statistics, features)
        return _unit(embedded, axis=1) @ directions

    return Prototypes(compare)


def _unit(vectors: jax.Array, *, axis: int) -> jax.Array:
    length = jnp.linalg.norm(vectors, axis=axis, keepdims=True)
    return vectors / jnp.maximum(length, 1e-12)
