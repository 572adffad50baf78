"""Kernels on the host: Pillow's to the bit, and the devices' own beside them."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from bmjax.augment.geometry import resize
from bmjax.data.images.resize import RESIZES, resize_square
from bmjax.errors import ConfigError


def smooth_image(side):
    """Waves and a sharp disc, uint8 [side, side, 3]."""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(9 * x + k) * np.cos(7 * y - k) for k in range(3)]
    image = 127 + 90 * np.stack(waves, axis=-1)
    image[(x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.05] = (90, 40, 140)
    return image.astype(np.uint8)


def test_bilinear_on_the_host_and_on_the_devices_are_within_one_level():
    # As DinoBloom evaluates marrow cells: torchvision's Resize on a Pillow image.
    image = smooth_image(250)
    host = resize_square(image, size=224, how="bilinear")
    device = resize(jnp.asarray(image[None], jnp.float32), size=224)[0]
    assert np.abs(np.asarray(device) - host).max() <= 1.0
    other = resize_square(image, size=224, how="area")
    assert np.abs(other.astype(int) - host).max() > 3  # the kernel matters


@pytest.mark.parametrize("how", ["bilinear", "bicubic", "lanczos"])
def test_the_other_kernels_are_pillows(how):
    image = smooth_image(50)
    for size in (32, 75):
        kernel = Image.Resampling[how.upper()]
        expected = np.asarray(Image.fromarray(image).resize((size, size), kernel))
        np.testing.assert_array_equal(
            resize_square(image, size=size, how=how), expected
        )


@pytest.mark.parametrize("how", RESIZES)
def test_an_image_of_the_right_size_is_left_alone(how):
    image = smooth_image(40)
    assert resize_square(image, size=40, how=how) is image


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ConfigError, match=r"data\.resize.*nearest"):
        resize_square(smooth_image(40), size=20, how="nearest")
