"""Logits adjusted to a prior: what the loss is, and what its network learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from bmjax.data.class_shares import loss_shares, network_prior
from bmjax.losses import cross_entropy
from bmjax.methods.supervised import make_supervised
from bmjax.run.build import make_method
from bmjax.types import Views
from tests.helpers.over_devices import losses_over_devices
from tests.helpers.toy_network import toy_network, toy_recipe
from tests.helpers.toy_run import toy_run

RANDOM = np.random.Generator(np.random.PCG64(0))
LOGITS = RANDOM.standard_normal((8, 3))
LABELS = RANDOM.integers(0, 3, 8)
IMAGES = {"A": 70, "B": 25, "C": 5}
PRIOR = np.array(list(IMAGES.values())) / 100


def loss(logits, labels, adjustment, weights=None):
    method = make_supervised(
        toy_network(num_classes=3),
        recipe=toy_recipe,
        logit_adjustment=jnp.asarray(adjustment),
        class_weights=None if weights is None else jnp.asarray(weights),
    )
    views = Views(images=(), labels=jnp.asarray(labels))
    return method.loss(None, logits, (), views, 0)


def test_an_even_prior_leaves_cross_entropy(float64):
    found, _ = loss(jnp.asarray(LOGITS), LABELS, 0.7 * np.log(np.full(3, 1 / 3)))
    plain = cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS)).mean()
    np.testing.assert_allclose(found, plain, rtol=1e-12)


def test_loss_and_gradient_are_those_of_the_formula(float64):
    adjustment = 1.5 * np.log(PRIOR)
    value, gradient = jax.value_and_grad(
        lambda logits: loss(logits, LABELS, adjustment)[0]
    )(jnp.asarray(LOGITS))
    shares = np.exp(LOGITS) * PRIOR**1.5
    shares /= shares.sum(axis=1, keepdims=True)
    known = -np.log(shares[np.arange(8), LABELS]).mean()
    np.testing.assert_allclose(value, known, rtol=1e-12)
    np.testing.assert_allclose(gradient, (shares - np.eye(3)[LABELS]) / 8, rtol=1e-9)


def test_accuracy_is_of_the_logits_that_predict():
    adjustment = np.float32([0, 0, 100])
    _, (_, metrics) = loss(jnp.asarray(LOGITS, jnp.float32), LABELS, adjustment)
    right = (LOGITS.argmax(axis=1) == LABELS).mean()
    np.testing.assert_allclose(metrics["accuracy"], right, rtol=1e-6)


# Class by observation: p(observation | class), rows sum to 1.
GIVEN = np.array([[0.6, 0.25, 0.1, 0.05], [0.2, 0.3, 0.3, 0.2], [0.05, 0.15, 0.4, 0.4]])


@pytest.mark.parametrize("sampling", ["natural", "balanced", "sqrt"])
@pytest.mark.parametrize("scheme", ["none", "sqrt", "A:3"])
@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_the_minimum_has_the_prior_that_evaluation_corrects(
    sampling, scheme, tau, float64
):
    """Fisher consistency: tau 1 ends in equal priors, whatever draws and weights do."""
    shares = loss_shares(IMAGES, sampling, scheme)
    joint = shares[:, None] * GIVEN  # as the loss counts class and observation
    adjustment = tau * np.log(shares)

    def expected(flat):
        logits = flat.reshape(4, 3) + adjustment
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        gradient = np.exp(logs) * joint.sum(axis=0)[:, None] - joint.T
        return -(joint.T * logs).sum(), gradient.ravel()

    best = minimize(
        expected, np.zeros(12), jac=True, options={"gtol": 1e-9, "maxiter": 10_000}
    ).x.reshape(4, 3)
    learned = np.exp(best - best.max(axis=1, keepdims=True))
    learned /= learned.sum(axis=1, keepdims=True)
    known = (network_prior(shares, tau)[:, None] * GIVEN).T
    known /= known.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(learned, known, atol=1e-4)
    # The loss of the method is this one: its gradient vanishes there, draw by draw.
    rows, labels = np.nonzero(np.ones((4, 3)))
    drawn = loss_shares(IMAGES, sampling, "none")[:, None] * GIVEN
    weights = shares / loss_shares(IMAGES, sampling, "none")
    weighted = jnp.asarray(drawn.T.ravel() * weights[labels])
    slope = jax.grad(
        lambda table: (
            weighted
            * cross_entropy(
                table[rows] + jnp.asarray(adjustment)[None], jnp.asarray(labels)
            )
        ).sum()
    )(jnp.asarray(best))
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_equal_priors_are_best_by_the_mean_recall():
    chosen = GIVEN.argmax(axis=0)
    recall = lambda rule: np.mean([GIVEN[c, rule == c].sum() for c in range(3)])
    every = np.stack(np.meshgrid(*[range(3)] * 4), axis=-1).reshape(-1, 4)
    assert recall(chosen) == pytest.approx(max(recall(rule) for rule in every))
    even = network_prior(loss_shares(IMAGES, "natural", "none"), 1.0)
    np.testing.assert_allclose(even, 1 / 3)


@pytest.mark.parametrize(
    ("sampling", "prior"), [("natural", PRIOR), ("balanced", np.full(3, 1 / 3))]
)
def test_a_run_takes_the_prior_of_what_it_draws(sampling, prior):
    built = toy_run(
        "linear", **{"method.logit_adjustment": 2.0, "data.sampling": sampling}
    )
    method = make_method(built.settings, built.learner.recipe, 1, IMAGES)
    logits = jnp.asarray(LOGITS, jnp.float32)
    views = Views(images=(), labels=jnp.asarray(LABELS))
    found, _ = method.loss(None, logits, (), views, 0)
    known, _ = loss(logits, LABELS, np.float32(2 * np.log(prior)))
    np.testing.assert_allclose(found, known, rtol=1e-6)


@pytest.mark.slow
def test_four_devices_learn_what_one_learns():
    method = make_supervised(
        toy_network(num_classes=3),
        recipe=toy_recipe,
        logit_adjustment=jnp.asarray(np.log(PRIOR), jnp.float32),
    )
    losses = losses_over_devices(method, classes=3)
    np.testing.assert_allclose(*losses, rtol=1e-5)
