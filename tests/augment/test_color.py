"""Color against the standard library's and plain numpy."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.augment.color import (
    adjust_hsv,
    gaussian_blur,
    hsv_jitter,
    hsv_to_rgb,
    normalize,
    random_grayscale,
    rgb_to_hsv,
)
from configs import common

IMAGES = jax.random.uniform(jax.random.key(0), (2, 6, 7, 3))


def test_hsv_agrees_with_colorsys_and_goes_back():
    corners = jnp.array([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 1], [0.5, 0.5, 0.5]])
    colors = jnp.concatenate([IMAGES.reshape(-1, 3), corners])[None, None]
    hsv = rgb_to_hsv(colors)
    expected = [colorsys.rgb_to_hsv(*map(float, color)) for color in colors[0, 0]]
    np.testing.assert_allclose(hsv[0, 0], expected, atol=1e-5)
    np.testing.assert_allclose(hsv_to_rgb(hsv), colors, atol=1e-6)


def test_jitter_of_no_strength_or_probability_changes_nothing():
    for numbers in (
        {"hue": 0.0, "saturation": 0.0, "value": 0.0, "probability": 1.0},
        {"hue": 0.3, "saturation": 0.5, "value": 0.5, "probability": 0.0},
    ):
        jittered = hsv_jitter(jax.random.key(1), IMAGES, **numbers)
        np.testing.assert_allclose(jittered, IMAGES, atol=1e-6)


def test_jitter_stays_in_range_and_shifts_an_image_as_a_whole():
    jittered = hsv_jitter(
        jax.random.key(1), IMAGES, hue=0.1, saturation=0.0, value=0.0, probability=1.0
    )
    assert 0 <= float(jittered.min()) <= float(jittered.max()) <= 1
    shift = (rgb_to_hsv(jittered) - rgb_to_hsv(IMAGES))[..., 0]
    shift = np.asarray((shift + 0.5) % 1.0 - 0.5)
    for image in shift:
        np.testing.assert_allclose(
            image, np.full_like(image, np.median(image)), atol=1e-4
        )
        assert abs(np.median(image)) <= 0.1


def test_gray_pixels_have_a_finite_gradient():
    gray = jnp.full((1, 2, 2, 3), 0.5)
    gradient = jax.grad(lambda x: hsv_to_rgb(rgb_to_hsv(x)).sum())(gray)
    assert np.isfinite(gradient).all()


def test_grayscale_has_the_luminance_in_each_channel():
    gray = random_grayscale(jax.random.key(0), IMAGES, probability=1.0)
    luminance = np.asarray(IMAGES) @ np.array([0.299, 0.587, 0.114], np.float32)
    for channel in range(3):
        np.testing.assert_allclose(gray[..., channel], luminance, rtol=1e-5)


def test_blur_keeps_a_flat_image_and_the_mean_of_a_point():
    flat = jnp.full((2, 9, 9, 3), 0.3)
    sigma = jnp.array([0.4, 2.0])
    np.testing.assert_allclose(gaussian_blur(flat, sigma), flat, rtol=1e-5)
    point = jnp.zeros((1, 41, 41, 1)).at[0, 20, 20].set(1.0)
    blurred = gaussian_blur(point, jnp.array([2.0]))[0, :, :, 0]
    assert abs(float(blurred.sum()) - 1) < 1e-5
    assert abs(float(blurred[20, 20]) - 1 / (2 * np.pi * 4)) < 1e-3


def test_normalization_gives_mean_zero_and_deviation_one():
    mean = tuple(map(float, IMAGES.mean(axis=(0, 1, 2))))
    std = tuple(map(float, IMAGES.std(axis=(0, 1, 2))))
    flat = normalize(IMAGES, mean=mean, std=std).reshape(-1, 3)
    np.testing.assert_allclose(flat.mean(axis=0), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(flat.std(axis=0), np.ones(3), rtol=1e-5)


def test_hue_gray_blur_and_normalization_agree_with_the_references(shared):
    archive = np.load(shared / "golden" / "transforms.npz")
    one, zero = jnp.ones(1), jnp.zeros(1)
    for name in ("real", "noise"):
        images = jnp.asarray(archive[name][None] / 255, jnp.float32)
        for turns in ("-0.20", "-0.05", "+0.00", "+0.13", "+0.20", "+0.50"):
            shifted = adjust_hsv(
                images, shift=zero + float(turns), stretch=one, gain=one
            )
            expected = archive[f"{name}/hue/{turns}/float"].transpose(1, 2, 0)
            np.testing.assert_allclose(shifted[0], expected, atol=2e-5)
        gray = random_grayscale(jax.random.key(0), images, probability=1.0)
        # torchvision rounds the weights to four digits.
        expected = np.broadcast_to(archive[f"{name}/gray/float"], (3, *gray.shape[1:3]))
        np.testing.assert_allclose(gray[0], expected.transpose(1, 2, 0), atol=2e-4)
        normal = normalize(images, mean=common.MEAN, std=common.STD)
        expected = archive[f"{name}/normalize_marrovision"].transpose(1, 2, 0)
        np.testing.assert_allclose(normal[0], expected, atol=2e-6)
    real = jnp.asarray(archive["real"][None] / 255, jnp.float32)
    for sigma in ("0.1", "0.7", "2.0"):
        blurred = gaussian_blur(real, zero + float(sigma))
        expected = archive[f"real/gaussian_blur/{sigma}/pil"] / 255
        # Pillow makes a Gaussian of three box filters in whole numbers; away from the
        # rim, where it repeats the edge, and from the steepest edges they agree.
        difference = np.abs(np.asarray(blurred[0]) - expected)[8:-8, 8:-8]
        assert np.quantile(difference, 0.99) < 3 / 255
