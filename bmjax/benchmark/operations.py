"""The floating-point operations that a step's model needs."""

import dataclasses

import jax
import jax.numpy as jnp

from bmjax.benchmark.flops import Operation, operations
from bmjax.data.splits.make_split import counts
from bmjax.run.build import BuiltRun, batch_shapes, make_method
from bmjax.training.keys import key_for


def useful_flops(run: BuiltRun) -> int:
    """Operations of one step's convolutions and matrix products, over all devices.

    Those of the network and the loss on all views, forward and backward, as the method
    needs them: a frozen backbone and a teacher have no backward pass, nor do the images
    have a gradient. What a configuration does besides for memory's sake (`remat`,
    `accumulate`) or a lowering for speed's (zeros in grouped kernels) is not useful;
    augmentation, normalization and the optimizer are not counted.
    """
    return sum(each.flops * each.times for each in step_operations(run)[0])


def step_operations(run: BuiltRun) -> tuple[list[Operation], list[Operation]]:
    """All of a step's heavy operations, and those of embedding alone, forward."""
    model = dataclasses.replace(run.settings.model, convolutions="xla", remat=False)
    settings = dataclasses.replace(run.settings, model=model)
    train = counts(run.data.catalog, run.data.split.train)
    method = make_method(
        settings, run.learner.recipe, run.length.steps_per_epoch, train
    )
    key = key_for(0, "views", 0)
    views = jax.eval_shape(method.views, key, batch_shapes(settings.data, run.mesh))
    params, batch_stats, state = jax.eval_shape(method.init, key, views)

    def embed(params, batch_stats, state, views):
        return method.embed(key, params, batch_stats, state, views)

    def objective(params, batch_stats, state, views):
        embeddings, _ = embed(params, batch_stats, state, views)
        value, _ = method.loss(params, embeddings, state, views, jnp.int32(0))
        return value

    arrays = (params, batch_stats, state, views)
    return operations(jax.grad(objective), *arrays), operations(embed, *arrays)
