"""Where a finished run's network looks: maps of the test images its page shows."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.data.pipeline import Replaced
from bmjax.devices.mesh import own_mesh, replicated
from bmjax.evals.linear_probe import Linear, feature_weights
from bmjax.evals.predictions import Predictions, confidently_wrong
from bmjax.models.lora import merge_adapters
from bmjax.models.saliency import class_kernel, make_saliency, saliency_kind
from bmjax.report.saliency_file import SALIENCY_FILE, write_saliency
from bmjax.run.build import BuiltRun, make_prepare
from bmjax.run.frozen_features import run_batches
from bmjax.training.step import TrainState


def map_mistakes(
    run: BuiltRun,
    state: TrainState,
    predictions: Predictions,
    linear: Linear,
    workdir: Path,
    replaced: Replaced,
) -> None:
    """Map the most confident mistakes and write them into saliency.npz.

    A map of a residual network is of the predicted class, by the run's own classifier
    or, where it has none, by the linear probe.

    Args:
        run: the run.
        state: that was evaluated.
        predictions: of the test images, in the order of the split's test part.
        linear: the linear probe.
        workdir: of the run.
        replaced: counts unreadable training images.
    """
    settings, data = run.settings, run.data
    rows = confidently_wrong(predictions, settings.saliency.images)
    path = workdir / SALIENCY_FILE
    path.unlink(missing_ok=True)  # of other predictions
    if not len(rows):
        return
    params = dict(state.params["network"])
    if settings.lora.rank:
        params = merge_adapters(
            params, rank=settings.lora.rank, alpha=settings.lora.alpha
        )
    make_map = make_saliency(
        settings.model.name,
        interpolation=settings.model.interpolation,
        convolutions=settings.model.convolutions,
        dtype=jnp.dtype(settings.model.dtype),
    )
    prepare = make_prepare(settings.data)

    @jax.jit
    def mapped(params, batch_stats, pixels, weights):
        return make_map(params, batch_stats, prepare(pixels), weights)

    if "fc" in params:
        kernel = jax.device_get(class_kernel(params, state.batch_stats))
    else:
        kernel = feature_weights(linear)
    once = dataclasses.replace(settings.data, batch_size=len(rows))
    chosen = data.split.test[rows]
    ((batch, _),) = run_batches(data, once, chosen, replaced, shared=False)
    of_classes = kernel.T[predictions.predicted[rows]]
    placed = jax.device_put(
        (batch["pixels"], of_classes), replicated(own_mesh(run.mesh))
    )
    maps = mapped(params, state.batch_stats, *placed)
    write_saliency(
        path,
        [predictions.paths[row] for row in rows],
        np.asarray(maps, np.float32),
        saliency_kind(settings.model.name),
    )
