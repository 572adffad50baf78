"""Weights of classes in the loss, from how many training images each has."""

import numpy as np

from bmjax.errors import ConfigError, check_known

SCHEMES = ("none", "inverse", "sqrt", "effective")
_BETA = 0.999  # Cui et al. 2019 try 0.9 to 0.9999; ours: classes of 8 to 29,424


def class_weights(
    counts: dict[str, int], scheme: str, *, key: str = "config.method.class_weights"
) -> np.ndarray | None:
    """Return one weight for each class, or None where all count alike.

    inverse: 1 / n. sqrt: 1 / sqrt(n). effective: (1 - b) / (1 - b^n), b = 0.999, the
    inverse of the effective number of samples (Cui et al. 2019, equation 3);
    "effective:0.9999" takes that b. Given:
    "ABE:10,FGC:5", with 1 for classes that are not named; those are taken as they are,
    all others brought to a mean of 1 over classes.

    Args:
        counts: training images of each class, none of them 0.
        scheme: one of the above, or pairs CLASS:WEIGHT.
        key: of the configuration, for errors.

    Returns:
        float32 [N], in the order of `counts`.

    Raises:
        ConfigError: an unknown scheme or class, a weight that is not positive, or a b
            that is not in 0 to 1, without 1.
    """
    beta = _BETA
    if scheme.startswith("effective:") and "effective" not in counts:
        scheme, _, text = scheme.partition(":")
        beta = _beta(text, key)
    if ":" in scheme:
        return _given(tuple(counts), scheme, key)
    check_known(key, scheme, (*SCHEMES, "CLASS:WEIGHT,..."))
    sizes = np.array(list(counts.values()), np.float64)
    if scheme == "inverse":
        weights = 1 / sizes
    elif scheme == "sqrt":
        weights = 1 / np.sqrt(sizes)
    elif scheme == "effective":
        weights = 1 / effective_number(sizes, beta)
    else:
        return None
    return (weights / weights.mean()).astype(np.float32)


def effective_number(images: np.ndarray, beta: float = _BETA) -> np.ndarray:
    """(1 - b^n) / (1 - b) of n images: near n for few, below 1 / (1 - b) for many."""
    return (1 - beta ** np.asarray(images, np.float64)) / (1 - beta)


def _beta(text: str, key: str) -> float:
    try:
        beta = float(text)
    except ValueError:
        beta = -1.0
    if not 0 <= beta < 1:
        raise ConfigError(
            f"{key} = effective:{text} has no number from 0 to below 1 behind it; "
            "write one such as effective:0.9999"
        )
    return beta


def _given(classes: tuple[str, ...], text: str, key: str) -> np.ndarray:
    weights = dict.fromkeys(classes, 1.0)
    for pair in text.split(","):
        name, _, number = pair.strip().partition(":")
        check_known(key, name, classes)
        try:
            weights[name] = float(number)
        except ValueError:
            weights[name] = -1.0
        if not 0 < weights[name] < np.inf:
            raise ConfigError(
                f"{key}: {pair.strip()!r} is no class with a weight above 0; write "
                "pairs such as ABE:10,FGC:5"
            )
    return np.array(list(weights.values()), np.float32)
