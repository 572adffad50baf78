"""A network that compiles in a moment: what laws of methods need, and nothing more."""

import jax
import jax.numpy as jnp

from bmjax.types import Network

_CELL, _WIDTH = 4, 12  # pixels of a patch; features


def toy_network(*, num_classes=0, head="none", embedding_dim=0):
    """One dense layer over the mean patch and its square, with batch normalization.

    It has the trees, names and outputs of `make_network`, couples a batch in training
    as that does, and is no convolution. With a key, training drops features. Its class
    token is the mean of its patches.
    """

    def init(key, images):
        del images
        keys = jax.random.split(key, 3)
        dense = lambda key, inputs, outputs: {
            "kernel": jax.random.normal(key, (inputs, outputs)) / inputs**0.5,
            "bias": jnp.zeros(outputs),
        }
        params = {"backbone": dense(keys[0], 6 * _CELL**2, _WIDTH)}
        if head != "none":
            params["head"] = dense(keys[1], _WIDTH, embedding_dim)
        if num_classes:
            params["fc"] = dense(keys[2], _WIDTH, num_classes)
        return params, {"backbone": {"mean": jnp.zeros(_WIDTH)}}

    def tokens(
        params, batch_stats, images, *, train, key=None, mask=None, mask_token=None
    ):
        batch, height, width, channels = images.shape
        rows, columns = height // _CELL, width // _CELL
        patches = images.reshape(batch, rows, _CELL, columns, _CELL, channels)
        patches = jnp.moveaxis(patches, 2, 3)
        both = jnp.stack([patches, patches**2], axis=-1)
        both = both.reshape(batch, rows * columns, -1)
        hidden = _affine(params["backbone"], both)
        if mask is not None:
            seen = ~mask.reshape(batch, -1, 1)
            hidden = jnp.where(seen, hidden, mask_token.reshape(1, 1, -1))
        pooled, running = hidden.mean(axis=1), batch_stats["backbone"]["mean"]
        mean = pooled.mean(axis=0)
        pooled = pooled - (mean if train else running)[None]
        # A patch knows of its image, as by attention.
        patches = jnp.tanh(hidden + pooled[:, None])
        if train:
            kept = jax.random.bernoulli(key, 0.9, pooled.shape)
            pooled = jnp.where(kept, pooled, 0.0)
            running = 0.9 * running + 0.1 * mean
        return jnp.tanh(pooled), patches, {"backbone": {"mean": running}}

    def project(params, tokens):
        return _affine(params["head"], tokens)

    def apply(params, batch_stats, images, *, train, key=None):
        sizes = images if isinstance(images, tuple) else (images,)
        running = batch_stats["backbone"]["mean"]
        features = []
        for size in sizes:
            batch, height, width, channels = size.shape
            rows, columns = height // _CELL, width // _CELL
            patches = size[:, : rows * _CELL, : columns * _CELL].reshape(
                batch, rows, _CELL, columns, _CELL, channels
            )
            both = jnp.stack([patches, patches**2], axis=-1).mean(axis=(1, 3))
            hidden = _affine(params["backbone"], both.reshape(batch, -1))
            mean = hidden.mean(axis=0)
            hidden = hidden - (mean if train else running)[None]
            running = 0.9 * running + 0.1 * mean
            features.append(jnp.tanh(hidden))
        if train and key is not None:
            kept = jax.random.bernoulli(key, 0.9, (sum(map(len, features)), _WIDTH))
            features = [jnp.where(kept, jnp.concatenate(features), 0.0)]
        outputs = {"features": jnp.concatenate(features)}
        for name, part in (("embeddings", "head"), ("logits", "fc")):
            if part in params:
                outputs[name] = _affine(params[part], outputs["features"])
        return outputs, {"backbone": {"mean": running}} if train else batch_stats

    return Network(init, apply, num_classes, _CELL, tokens, project)


def _affine(layer, inputs):
    ones = (1,) * (inputs.ndim - 1)
    return inputs @ layer["kernel"] + layer["bias"].reshape(*ones, -1)


def toy_recipe(key, pixels):
    """Two views of an image, each of a brightness and direction of its own."""
    flip_key, light_key = jax.random.split(key)
    shape = (pixels.shape[0], 2, 1, 1, 1)
    images = pixels[:, None].astype(jnp.float32) / 127.5 - 1
    flipped = jnp.where(
        jax.random.bernoulli(flip_key, shape=shape), images, images[:, :, :, ::-1]
    )
    return (flipped + 0.3 * jax.random.normal(light_key, shape),)
