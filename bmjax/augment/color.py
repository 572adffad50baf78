"""Color: HSV jitter, grayscale, blur, normalization. Images are in 0..1 until then."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Images = Float[Array, "batch height width channels"]

# Weights of ITU-R 601, as Pillow and torchvision use for grayscale.
_LUMA = (0.299, 0.587, 0.114)


def rgb_to_hsv(images: Images) -> Images:
    """Hue, saturation and value, each in 0..1; hue of a gray pixel is 0."""
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    value = images.max(axis=-1)
    chroma = value - images.min(axis=-1)
    safe = jnp.where(chroma > 0, chroma, 1.0)
    sector = jnp.where(
        value == red,
        ((green - blue) / safe) % 6,
        jnp.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = jnp.where(chroma > 0, sector / 6, 0.0)
    saturation = jnp.where(value > 0, chroma / jnp.where(value > 0, value, 1.0), 0.0)
    return jnp.stack([hue, saturation, value], axis=-1)


def hsv_to_rgb(images: Images) -> Images:
    """Inverse of `rgb_to_hsv`; hue is taken modulo 1."""
    hue, saturation, value = images[..., :1], images[..., 1:2], images[..., 2:]
    # Each channel is value minus a trapezoid of the hue, shifted by 5, 3 and 1 sectors.
    sector = (
        hue * 6 + jnp.array([5.0, 3.0, 1.0], images.dtype).reshape(1, 1, 1, 3)
    ) % 6
    ramp = jnp.clip(jnp.minimum(sector, 4 - sector), 0.0, 1.0)
    return value - value * saturation * ramp


def adjust_hsv(
    images: Images,
    *,
    shift: Float[Array, " batch"],
    stretch: Float[Array, " batch"],
    gain: Float[Array, " batch"],
) -> Images:
    """Shift the hue (in turns) and scale saturation and value, each image by its own.

    The shift alone is torchvision's adjust_hue.
    """
    shift, stretch, gain = (n[:, None, None] for n in (shift, stretch, gain))
    hsv = rgb_to_hsv(images)
    return hsv_to_rgb(
        jnp.stack(
            [
                (hsv[..., 0] + shift) % 1.0,
                jnp.clip(hsv[..., 1] * stretch, 0.0, 1.0),
                jnp.clip(hsv[..., 2] * gain, 0.0, 1.0),
            ],
            axis=-1,
        )
    )


def hsv_jitter(
    key: Array,
    images: Images,
    *,
    hue: float,
    saturation: float,
    value: float,
    probability: float,
) -> Images:
    """Shift the hue and scale saturation and value of each image at random.

    Args:
        key: one random key.
        images: RGB in 0..1.
        hue: largest shift, in turns of the color circle (0.1 is 36 degrees).
        saturation: the factor is uniform in [max(0, 1 - s), 1 + s].
        value: the same for value.
        probability: share of the images that is changed at all.
    """
    apply_key, hue_key, saturation_key, value_key = jax.random.split(key, 4)
    batch = images.shape[0]

    def factor(key: Array, strength: float) -> Array:
        low = max(0.0, 1 - strength)
        return jax.random.uniform(key, (batch,), minval=low, maxval=1 + strength)

    jittered = adjust_hsv(
        images,
        shift=jax.random.uniform(hue_key, (batch,), minval=-hue, maxval=hue),
        stretch=factor(saturation_key, saturation),
        gain=factor(value_key, value),
    )
    chosen = jax.random.bernoulli(apply_key, probability, (batch, 1, 1, 1))
    return jnp.where(chosen, jittered, images)


def random_grayscale(key: Array, images: Images, *, probability: float) -> Images:
    """Replace each image's three channels by its luminance, with a probability."""
    luma = jnp.sum(
        images * jnp.array(_LUMA, images.dtype).reshape(1, 1, 1, 3), -1, keepdims=True
    )
    chosen = jax.random.bernoulli(key, probability, (images.shape[0], 1, 1, 1))
    return jnp.where(chosen, luma, images)


def gaussian_blur(images: Images, sigma: Float[Array, " batch"]) -> Images:
    """Blur each image by its own standard deviation, in pixels.

    Two matrix products an image, one for each axis; beyond the border nothing is
    assumed: the weights inside are brought back to a sum of 1.
    """

    def weights(length: int) -> Array:
        place = jnp.arange(length, dtype=images.dtype)
        distance = (place[:, None] - place[None, :])[None] / sigma[:, None, None]
        bell = jnp.exp(-0.5 * distance**2)
        return bell / bell.sum(axis=-1, keepdims=True)

    rows, columns = weights(images.shape[1]), weights(images.shape[2])
    return jnp.einsum("bih,bjw,bhwc->bijc", rows, columns, images)


def random_blur(
    key: Array, images: Images, *, sigma: tuple[float, float], probability: float
) -> Images:
    """Blur each image with a probability, standard deviation uniform in `sigma`."""
    apply_key, sigma_key = jax.random.split(key)
    batch = (images.shape[0],)
    drawn = jax.random.uniform(sigma_key, batch, minval=sigma[0], maxval=sigma[1])
    chosen = jax.random.bernoulli(apply_key, probability, (*batch, 1, 1, 1))
    return jnp.where(chosen, gaussian_blur(images, drawn), images)


def to_float(pixels: Array) -> Images:
    """uint8 0..255 to float32 0..1."""
    return pixels.astype(jnp.float32) / 255


def normalize(
    images: Images, *, mean: tuple[float, ...], std: tuple[float, ...]
) -> Images:
    """Subtract the mean and divide by the standard deviation of each channel."""
    shape = (1, 1, 1, -1)
    return (images - jnp.array(mean, images.dtype).reshape(shape)) / jnp.array(
        std, images.dtype
    ).reshape(shape)
