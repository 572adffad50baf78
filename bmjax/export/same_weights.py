"""Whether a run or file of weights is still what it was: a digest and one feature.

A program may print that all weights were loaded and use others. Two numbers settle it:
the SHA-256 of the backbone's parameters, and its features of one image that anyone can
make, the same on any machine: of S x S pixels, uint8, at row y, column x and channel c
(red 0, green 1, blue 2)

    (3 y + 5 x + 80 c + x y) mod 256
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.encoder import Encoder, load
from bmjax.errors import CheckpointError, ConfigError
from bmjax.files import check_place, read_json, write_whole

# Of the features' norm. float32 in another order of sums stays below 1e-5; a GELU by
# tanh, the least of usual deviations, is 2.9e-4 off.
TOLERANCE = 1e-4


def reference_image(size: int) -> np.ndarray:
    """The image, uint8 [size, size, 3]."""
    y, x, c = np.ogrid[:size, :size, :3]
    return ((3 * y + 5 * x + 80 * c + x * y) % 256).astype(np.uint8)


def describe_weights(encoder: Encoder) -> dict[str, Any]:
    """What is compared, and how the features were made; fit for JSON."""
    (features,) = encoder.features(reference_image(encoder.size)[None])
    return {
        "network": encoder.network,
        "size": encoder.size,
        "mean": list(encoder.mean),
        "std": list(encoder.std),
        **encoder.feature_settings,
        "sha256": encoder.digest,
        "features": [float(value) for value in features],
    }


def check_weights_against(source: Path, record: Path) -> str:
    """Compare weights with a record of them, or begin it where there is none.

    Args:
        source: workdir of a run, or a file of weights.
        record: .json.

    Returns:
        one line on what was found or written.

    Raises:
        ConfigError: the record cannot be read or written.
        CheckpointError: the weights are others, or give other features; or `load`
            refuses them.
    """
    if not record.exists():
        check_place("--check", record)
        described = describe_weights(load(source, batch_size=1, devices=1))
        write_whole(record, json.dumps(described, indent=1) + "\n")
        return f"{record}: written, SHA-256 {described['sha256'][:12]}"
    try:
        expected = read_json(record)
        features = np.asarray(expected["features"], np.float64)
        settings = {key: expected[key] for key in ("pooling", "interpolation")}
        digest, network = str(expected["sha256"]), str(expected["network"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--check={str(record)!r} is no record of weights ({error}); give another "
            "name to write one"
        ) from None
    name = "" if source.is_dir() else network
    found = describe_weights(load(source, name, batch_size=1, devices=1, **settings))
    given = np.asarray(found["features"])
    if given.shape != features.shape:
        raise CheckpointError(
            f"{str(source)!r} gives {len(given):,} features, expected "
            f"{features.size:,} as in {str(record)!r}; give the weights of that record"
        )
    apart = float(np.linalg.norm(given - features) / np.linalg.norm(features))
    if found["sha256"] != digest:
        raise CheckpointError(
            f"{str(source)!r} holds other parameters than {str(record)!r}: SHA-256 "
            f"{found['sha256'][:12]}, expected {digest[:12]}; its features of the "
            f"reference image differ by {apart:.1e} of their norm; give the weights of "
            "that record, or write a new one"
        )
    if not apart <= TOLERANCE:
        how = [
            f"{key} {found[key]}, expected {expected[key]}"
            for key in ("size", "mean", "std")
            if key in expected and found[key] != expected[key]
        ]
        raise CheckpointError(
            f"{str(source)!r} has the parameters that {str(record)!r} says and gives "
            f"other features of the reference image: they differ by {apart:.1e} of "
            f"their norm, expected at most {TOLERANCE:.0e}"
            f"{''.join(f' ({text})' for text in how)}; compare the versions of bmjax "
            "and jax and config.model.dtype"
        )
    return f"{source}: as in {record}; features differ by {apart:.1e} of their norm"
