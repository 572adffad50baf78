"""iBOT's own laws: its losses against DINOv2's, what is hidden, what moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.errors import ConfigError
from bmjax.losses import koleo
from bmjax.methods.ibot import IBOT, IbotSettings, IbotState, make_ibot
from bmjax.types import Batch, Views
from tests.conftest import GOLDEN
from tests.helpers.toy_network import toy_network, toy_recipe

ARCHIVE = np.load(GOLDEN / "dinov2_losses.npz")
SETTINGS = {
    "prototypes": 12,
    "patch_prototypes": 10,
    "prototypes_from": 0,
    "centering": "sinkhorn",
    "iterations": 3,
    "center_momentum": 0.9,
    "teacher_momentum": 0.9,
    "teacher_still_from": 10,
    "teacher_temperature": 0.07,
    "teacher_temperature_start": 0.07,
    "teacher_temperature_warmup": 0,
    "temperature": 0.1,
    "mask_probability": 0.5,
    "mask_ratio": (0.2, 0.5),
    "class_weight": 1.0,
    "patch_weight": 1.0,
    "koleo_weight": 0.1,
}


def make(**changes):
    network = toy_network(head="linear", embedding_dim=5)
    return make_ibot(network, recipe=toy_recipe, **{**SETTINGS, **changes})


def batch_of(count, seed=0):
    random = np.random.Generator(np.random.PCG64(seed))
    pixels = random.integers(0, 256, (count, 16, 16, 3), np.uint8)
    return Batch(jnp.asarray(pixels), jnp.zeros(count, jnp.int32))


def begun(method, count=4):
    """Views and the state before the first step."""
    views = method.views(jax.random.key(0), batch_of(count))
    return views, *method.init(jax.random.key(1), views)


def eye_losses(case, centering, which):
    """The method's losses on recorded scores: embeddings @ 1 are scores."""
    name = "centering" if centering == "softmax" else "sinkhorn"
    get = lambda key: np.asarray(ARCHIVE[f"{case}/{key}"])
    student = np.moveaxis(get("student"), 0, 1)  # [B, V, K]
    first, second = (
        np.moveaxis(get(f"teacher_{n}"), 0, 1) for n in ("first", "second")
    )
    batch, count = len(student), student.shape[-1]
    center = np.zeros(count)
    if which == "second":
        center = 0.1 * first.reshape(-1, count).mean(axis=0)
    method = make(centering=centering, koleo_weight=0.0, patch_weight=0.0)
    columns = {"prototypes": jnp.eye(count), "patch_prototypes": jnp.eye(3)}
    embeddings = {
        "student": jnp.asarray(student),
        "teacher": jnp.asarray(second if which == "second" else first),
        "student_patches": jnp.zeros((batch, 1, 8, 3)),
        "teacher_patches": jnp.zeros((batch, 1, 8, 3)),
        "class_tokens": jnp.asarray(student[:, :2, :3]),
    }
    masks = jnp.zeros((batch, 2, 4, 4), bool)
    views = Views((), jnp.zeros(batch, jnp.int32), masks=masks)

    def value(student):
        return method.loss(
            {**columns, "student": columns},
            {**embeddings, "student": student},
            IbotState(jnp.asarray(center), jnp.zeros(3)),
            views,
            jnp.int32(3),
        )[0]

    found = jax.value_and_grad(value)(embeddings["student"])
    return found, get(f"{name}_{which}_loss"), get(f"{name}_{which}_grad")


@pytest.mark.parametrize(
    ("case", "centering", "which"),
    [
        pytest.param("class_two_views", "sinkhorn", "first", marks=pytest.mark.slow),
        ("class_two_large_two_small", "sinkhorn", "second"),
        pytest.param(
            *("class_two_large_two_small", "softmax", "second"), marks=pytest.mark.slow
        ),
    ],
)
def test_the_class_tokens_loss_is_dinov2s(case, centering, which, float64):
    (value, gradient), wanted, slope = eye_losses(case, centering, which)
    # Without small views DINOv2 divides its two terms by three: by those of one small
    # view at the least.
    share = 1.5 if case == "class_two_views" else 1.0
    np.testing.assert_allclose(value, wanted * share, rtol=1e-9)
    np.testing.assert_allclose(
        np.moveaxis(np.asarray(gradient), 1, 0), slope * share, rtol=1e-8, atol=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("heads", [0, 10])
def test_the_three_losses_are_weighted_and_permute_with_the_batch(heads):
    weights = {"class_weight": 2.0, "patch_weight": 3.0, "koleo_weight": 0.5}
    method = make(patch_prototypes=heads, **weights)
    views, params, batch_stats, state = begun(method)
    assert ("patch_head" in params) == (heads > 0)
    embed = jax.jit(method.embed)
    embeddings, _ = embed(jax.random.key(2), params, batch_stats, state, views)
    value, (after, metrics) = method.loss(params, embeddings, state, views, 0)
    tokens = embeddings["class_tokens"]
    spread = sum(koleo(tokens[:, view]).mean() for view in range(2))
    np.testing.assert_allclose(metrics["koleo"], spread / 2, rtol=1e-6)
    np.testing.assert_allclose(
        value,
        2 * metrics["class_loss"] + 3 * metrics["patch_loss"] + 0.5 * spread,
        rtol=1e-6,
    )
    assert metrics["patch_loss"] > 0
    order = np.array([2, 0, 3, 1])
    moved = jax.tree.map(lambda leaf: leaf[order], (embeddings, views))
    again, (afterwards, others) = method.loss(params, moved[0], state, moved[1], 0)
    np.testing.assert_allclose(again, value, rtol=1e-5)
    for one, other in zip(after, afterwards, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert others.keys() == metrics.keys()


@pytest.mark.slow
def test_the_student_does_not_see_what_is_masked_and_the_teacher_sees_all():
    method = make(mask_probability=1.0)
    views, params, batch_stats, state = begun(method)
    masks = views.masks
    assert masks.shape == (4, 2, 4, 4)
    assert jnp.all(masks.any(axis=(2, 3)))
    # Four pixels a patch; other pixels where patches are masked.
    hidden = jnp.repeat(jnp.repeat(masks, 4, axis=2), 4, axis=3)[..., None]
    images = jnp.where(hidden, 0.3, views.images[0])
    embed = jax.jit(method.embed)
    found, other = (
        embed(jax.random.key(2), params, batch_stats, state, seen)[0]
        for seen in (views, views._replace(images=(images,)))
    )
    for name in ("student", "student_patches", "class_tokens"):
        np.testing.assert_allclose(found[name], other[name], atol=1e-6, err_msg=name)
    for name in ("teacher", "teacher_patches"):
        assert np.abs(found[name] - other[name]).max() > 1e-3, name


@pytest.mark.slow
def test_gradients_reach_masked_patches_of_the_student_alone():
    method = make()
    views, params, batch_stats, state = begun(method)
    embeddings, _ = jax.jit(method.embed)(
        jax.random.key(2), params, batch_stats, state, views
    )

    def value(params, embeddings):
        return method.loss(params, embeddings, state, views, 0)[0]

    of_params, slope = jax.jit(jax.grad(value, argnums=(0, 1)))(params, embeddings)
    # An image has one masked view, and room for the half of its 16 patches.
    count = np.asarray(views.masks.sum(axis=(1, 2, 3)))
    length = np.linalg.norm(slope["student_patches"], axis=-1)
    assert length.shape == (4, 1, 8)
    held = np.arange(8)[None] < count[:, None]
    assert np.all(length[:, 0][held] > 0)
    assert np.all(length[:, 0][~held] == 0)
    assert not any(np.any(slope[k]) for k in ("teacher", "teacher_patches"))
    assert not np.any(of_params["prototypes"])
    assert np.any(of_params["student"]["prototypes"])
    assert np.any(of_params["student"]["patch_prototypes"])


@pytest.mark.slow
def test_the_key_alone_says_what_is_masked():
    method = make()
    draw = lambda seed: method.views(jax.random.key(seed), batch_of(6))
    one, same, other = draw(0), draw(0), draw(1)
    np.testing.assert_array_equal(one.masks, same.masks)
    np.testing.assert_array_equal(one.images[0], same.images[0])
    assert np.any(one.masks != other.masks)
    assert np.all(one.masks.any(axis=(2, 3)).sum(axis=1) == 1)


def test_teacher_and_student_start_as_one_and_share_no_buffer():
    _, params, batch_stats, _ = begun(make())
    student, statistics = params.pop("student"), batch_stats.pop("student")
    jax.tree.map(np.testing.assert_array_equal, params, student)
    jax.tree.map(np.testing.assert_array_equal, batch_stats, statistics)
    for one, other in zip(
        jax.tree.leaves(params), jax.tree.leaves(student), strict=True
    ):
        assert one.unsafe_buffer_pointer() != other.unsafe_buffer_pointer()


@pytest.mark.parametrize(
    ("changes", "batch", "sentence"),
    [
        ({"patch_prototypes": 1}, 8, "use 0 for one head"),
        ({"mask_ratio": (0.1, 1.5)}, 8, "shares of the patches"),
        ({}, 1, r"config\.data\.batch_size = 1"),
    ],
)
def test_what_is_impossible_is_refused(changes, batch, sentence):
    durations = ("prototypes_from", "teacher_still_from", "teacher_temperature_warmup")
    asked = {**SETTINGS, **dict.fromkeys(durations, "1 step"), **changes}
    with pytest.raises(ConfigError, match=sentence):
        IBOT.check(IbotSettings(**asked), batch)
