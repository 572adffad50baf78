"""Crops and flips: exact where they must be, torchvision's within the rim."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.augment.geometry import (
    crop_and_resize,
    random_flip,
    random_resized_crop,
    resize,
)

IMAGES = jax.random.uniform(jax.random.key(0), (6, 20, 20, 3))


def test_a_crop_in_its_own_size_is_a_slice():
    box = (jnp.float32(3), jnp.float32(5), jnp.float32(8), jnp.float32(8))
    cut = crop_and_resize(IMAGES[0], *box, size=8)
    np.testing.assert_allclose(cut, IMAGES[0, 3:11, 5:13], atol=1e-6)


@pytest.mark.parametrize("case", ["up", "down", "same", "odd"])
@pytest.mark.parametrize("image", ["real", "noise"])
def test_crops_agree_with_torchvision_within_the_rim(image, case, shared):
    archive = np.load(shared / "golden" / "transforms.npz")
    pixels = jnp.asarray(archive[image], jnp.float32) / 255
    top, left, height, width, size = archive[f"{image}/resized_crop/{case}/ijhws"]
    numbers = (jnp.float32(n) for n in (top, left, height, width))
    expected = np.moveaxis(
        archive[f"{image}/resized_crop/{case}/float_antialias"], 0, -1
    )
    found = np.asarray(crop_and_resize(pixels, *numbers, size=int(size)))
    wrong = np.abs(found - expected)
    # Beyond the box torchvision repeats the edge, and this sees the image itself.
    rim = int(np.ceil(size / min(height, width))) + 2
    inside = wrong[rim:-rim, rim:-rim]
    assert inside.max() < 1 / 255
    if image == "real":
        assert wrong.max() < 5 / 255


def test_boxes_follow_their_law():
    """Cut from a picture of its own coordinates, a box tells where it lay."""
    rows, columns = jnp.meshgrid(jnp.arange(100.0), jnp.arange(100.0), indexing="ij")
    picture = jnp.stack([rows, columns, rows], axis=-1)
    count = 800
    cut = random_resized_crop(
        jax.random.key(3),
        jnp.broadcast_to(picture, (count, 100, 100, 3)),
        size=50,
        scale=(0.2, 0.6),
    )
    heights = np.asarray(cut[:, 40, 25, 0] - cut[:, 10, 25, 0]) * 50 / 30
    widths = np.asarray(cut[:, 25, 40, 1] - cut[:, 25, 10, 1]) * 50 / 30
    area, ratio = heights * widths / 100**2, np.log(widths / heights)
    assert area.min() > 0.19
    assert area.max() < 0.61
    assert abs(area.mean() - 0.4) < 0.015  # uniform in 0.2..0.6, standard error 0.004
    assert np.abs(ratio).max() < np.log(4 / 3) + 0.03
    assert abs(ratio.mean()) < 0.02


def test_flips_mirror_or_leave_alone():
    key = jax.random.key(1)
    same = random_flip(key, IMAGES, horizontal=0.0, vertical=0.0)
    np.testing.assert_array_equal(same, IMAGES)
    across = random_flip(key, IMAGES, horizontal=1.0, vertical=0.0)
    np.testing.assert_array_equal(across, IMAGES[:, :, ::-1])
    down = random_flip(key, IMAGES, horizontal=0.0, vertical=1.0)
    np.testing.assert_array_equal(down, IMAGES[:, ::-1])


def test_resizing_to_the_same_size_changes_nothing():
    assert resize(IMAGES, size=20) is IMAGES
