"""The prototype that is nearest to a cell, where the run's method has prototypes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from bmjax.devices.mesh import make_mesh, replicated
from bmjax.encoder import Encoder
from bmjax.evals.prototypes import prototype_cosines
from bmjax.files import user_path
from bmjax.models.heads import HEADS, project_features
from bmjax.training.run_config import read_run_config

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


def prototypes_of(encoder: Encoder) -> Prototypes | None:
    """The prototypes of a run, and the head that maps features beside them.

    Args:
        encoder: of a run, or of a file of weights.

    Returns:
        None for a file, and for a run without prototypes or a head.

    Raises:
        CheckpointError: the run's configuration is damaged.
    """
    run = user_path("--run", encoder.source)
    if not (run / _ATLAS_FILE).exists():
        return None
    kind = read_run_config(run).model.head
    params, statistics = encoder.loaded.projection
    if kind not in HEADS or not {"head", "prototypes"} <= {*params}:
        return None
    head, of_head = jax.device_put(
        (params["head"], statistics.get("head", {})), replicated(make_mesh(1))
    )
    return Prototypes(
        jax.jit(lambda features: project_features(kind, head, of_head, features)),
        np.asarray(params["prototypes"]),
    )
