"""The prototype that is nearest to a cell, where the run's method has prototypes."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from bmjax.devices.mesh import make_mesh, replicated
from bmjax.evals.prototypes import prototype_cosines
from bmjax.models.heads import HEADS, project_features
from bmjax.training.run_config import read_run_config
from bmjax.training.trained_network import read_run

_ATLAS_FILE = "atlas.json"  # that a run with prototypes has, and no other


class Prototypes(NamedTuple):
    """Prototypes of a run, and what its head makes of features.

    Attributes:
        project: features float [B, F] -> embeddings [B, D].
        prototypes: float [D, K].
    """

    project: Callable[[np.ndarray], jax.Array]
    prototypes: np.ndarray

    def nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the nearest prototypes, as in atlas.json, and cosines, [B] each.

        Args:
            features: float [B, F], of the run's network.
        """
        embeddings = np.asarray(self.project(features))
        cosines = prototype_cosines(embeddings, self.prototypes)
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
    return Prototypes(
        jax.jit(lambda features: project_features(kind, head, statistics, features)),
        np.asarray(weights.params["prototypes"]),
    )
