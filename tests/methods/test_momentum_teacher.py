"""The schedules and codes of a momentum teacher, against DINOv2's own."""

import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.methods.momentum_teacher import (
    follow_student,
    moved_center,
    teacher_codes,
    teacher_temperature_at,
)
from bmjax.training.optimizer import cosine_schedule
from tests.conftest import GOLDEN

ARCHIVE = np.load(GOLDEN / "dinov2_losses.npz")
STEPS = int(ARCHIVE["schedules/steps"])


def test_the_temperature_rises_as_dinov2s(float64):
    warmup = int(ARCHIVE["schedules/temperature_warmup"])
    found = [
        teacher_temperature_at(jnp.asarray(step), start=0.04, final=0.07, warmup=warmup)
        for step in range(STEPS + 5)
    ]
    np.testing.assert_allclose(
        found, ARCHIVE["schedules/teacher_temperature"], rtol=1e-12
    )
    still = teacher_temperature_at(jnp.int32(3), start=0.04, final=0.07, warmup=0)
    assert still == 0.07


def test_the_share_of_the_teacher_that_stays_is_dinov2s(float64):
    params = {
        "network": {"w": jnp.zeros(1)},
        "prototypes": jnp.ones((1, 1)),
        "student": {"network": {"w": jnp.ones(1)}, "prototypes": jnp.ones((1, 1))},
    }
    stays = []
    for step in range(STEPS + 5):
        moved = follow_student(
            params,
            jnp.asarray(step),
            momentum=0.994,
            still_from=STEPS,
            columns=("prototypes",),
        )
        stays.append(1 - float(moved["network"]["w"][0]))
    np.testing.assert_allclose(stays, ARCHIVE["schedules/momentum"], atol=1e-14)


def test_rate_and_decay_are_dinov2s(float64):
    warmup = int(ARCHIVE["schedules/warmup"])
    rate = cosine_schedule(base=2e-4, final=1e-6, steps=STEPS, warmup_steps=warmup)
    decay = cosine_schedule(base=0.04, final=0.2, steps=STEPS)
    for name, schedule in (("learning_rate", rate), ("weight_decay", decay)):
        found = [schedule(step) for step in range(STEPS)]
        np.testing.assert_allclose(
            found, ARCHIVE[f"schedules/{name}"][:STEPS], rtol=1e-12
        )


@pytest.mark.parametrize("which", ["first", "second"])
@pytest.mark.parametrize(
    "case", ["class_two_views", "class_two_large_two_small", "patches"]
)
@pytest.mark.parametrize("centering", ["sinkhorn", "softmax"])
def test_codes_and_center_are_dinov2s(case, which, centering, float64):
    """The second batch is centered by the first one's mean."""
    first, second = (
        jnp.asarray(ARCHIVE[f"{case}/teacher_{name}"]) for name in ("first", "second")
    )
    count = first.shape[-1]
    centers = [jnp.zeros(count)]
    for scores in (first, second):
        mean = scores.reshape(-1, count).mean(axis=0)
        centers.append(moved_center(centers[-1], mean, 0.9))
    codes, _ = teacher_codes(
        first if which == "first" else second,
        centers[which == "second"],
        temperature=0.07,
        centering=centering,
        iterations=3,
    )
    name = "sinkhorn" if centering == "sinkhorn" else "centering"
    np.testing.assert_allclose(
        codes, ARCHIVE[f"{case}/{name}_{which}_codes"], rtol=1e-9, atol=1e-14
    )
    np.testing.assert_allclose(
        centers[2], ARCHIVE[f"{case}/center_after_second"], rtol=1e-12
    )


def test_what_is_not_counted_moves_no_center():
    scores = jnp.array([[1.0, 2.0], [3.0, 6.0], [50.0, 0.0]])
    held = jnp.array([True, True, False])
    for centering in ("sinkhorn", "softmax"):
        _, mean = teacher_codes(
            scores,
            jnp.zeros(2),
            temperature=0.07,
            centering=centering,
            iterations=3,
            counted=held,
        )
        np.testing.assert_allclose(mean, [2.0, 4.0])
