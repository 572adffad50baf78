"""Cross-entropy against torch's recorded numbers."""

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.losses import cross_entropy, target_weights


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


def test_class_weights_agree_with_the_reference(golden, float64):
    archive = golden("losses_optim")
    logits = jnp.asarray(archive["logits"])
    weights = jnp.asarray(archive["class_weights"])
    for name, targets in (
        ("hard_weighted", jnp.asarray(archive["labels"])),
        ("soft_weighted", jnp.asarray(archive["soft_targets"])),
    ):

        def mean(logits, targets=targets, name=name):
            each = cross_entropy(logits, targets, class_weights=weights)
            if name == "soft_weighted":
                return each.mean()
            return each.sum() / target_weights(targets, weights).sum()

        each = cross_entropy(logits, targets, class_weights=weights)
        np.testing.assert_allclose(each, archive[f"ce/{name}/loss_each"], rtol=1e-9)
        value, gradient = jax.value_and_grad(mean)(logits)
        np.testing.assert_allclose(value, archive[f"ce/{name}/loss"], rtol=1e-9)
        np.testing.assert_allclose(
            gradient, archive[f"ce/{name}/grad"], rtol=1e-9, atol=1e-12
        )


def test_class_numbers_and_their_one_hot_targets_weigh_alike():
    labels, weights = jnp.array([2, 0, 1]), jnp.array([0.5, 2.0, 3.0])
    np.testing.assert_allclose(
        target_weights(labels, weights),
        target_weights(jax.nn.one_hot(labels, 3), weights),
    )


def test_permuting_the_batch_permutes_the_losses():
    logits = jax.random.normal(jax.random.key(0), (5, 4))
    labels, order = jnp.array([0, 3, 1, 1, 2]), jnp.array([4, 2, 0, 1, 3])
    np.testing.assert_allclose(
        cross_entropy(logits, labels)[order],
        cross_entropy(logits[order], labels[order]),
        rtol=1e-6,
    )
