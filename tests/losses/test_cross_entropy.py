"""Cross-entropy against torch's recorded numbers."""

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.losses import cross_entropy


def test_hard_soft_and_smoothed_targets_agree_with_the_reference(golden, float64):
    archive = golden("losses_optim")
    for name, targets, smoothing in (
        ("hard", jnp.asarray(archive["labels"]), 0.0),
        ("soft", jnp.asarray(archive["soft_targets"]), 0.0),
        ("hard_smoothing01", jnp.asarray(archive["labels"]), 0.1),
    ):
        logits = jnp.asarray(archive["logits"])

        def mean(logits, targets=targets, smoothing=smoothing):
            return cross_entropy(logits, targets, smoothing=smoothing).mean()

        each = cross_entropy(logits, targets, smoothing=smoothing)
        np.testing.assert_allclose(each, archive[f"ce/{name}/loss_each"], rtol=1e-12)
        np.testing.assert_allclose(
            jax.grad(mean)(logits), archive[f"ce/{name}/grad"], rtol=1e-9, atol=1e-15
        )


def test_large_logits_stay_finite(golden, float64):
    archive = golden("losses_optim")
    each = cross_entropy(
        jnp.asarray(archive["logits_big"]), jnp.asarray(archive["labels"])
    )
    np.testing.assert_allclose(each, archive["ce/hard_big_logits/loss_each"], rtol=1e-9)
