"""How much each class counts in a loss, and what prior its network then has."""

import numpy as np

from bmjax.data.class_weights import class_weights
from bmjax.data.sampling import drawn_shares


def loss_shares(images: dict[str, int], sampling: str, scheme: str) -> np.ndarray:
    """Shares of the classes in a loss: as the sampling draws them, times their weights.

    Args:
        images: training images of each class.
        sampling: one of `bmjax.data.sampling.SAMPLINGS`.
        scheme: of `class_weights`.

    Returns:
        float64 [N], in the order of `images`; sums to 1.
    """
    labels = np.repeat(np.arange(len(images)), list(images.values()))
    shares = drawn_shares(labels, sampling, classes=len(images))
    weights = class_weights(images, scheme)
    if weights is not None:
        shares = shares * weights
    return shares / shares.sum()


def network_prior(shares: np.ndarray, logit_adjustment: int | float) -> np.ndarray:
    """The prior that a network's probabilities have, float64 [N]; sums to 1.

    A network whose logits plus t ln(shares) are trained by cross-entropy has
    p(x | class) shares^(1 - t), up to a factor, in the softmax of its logits alone
    (Menon et al. 2021): for t = 1 every class has the same prior.

    Args:
        shares: of `loss_shares`.
        logit_adjustment: t.
    """
    prior = np.where(shares > 0, shares, 1.0) ** (1 - logit_adjustment)
    prior = np.where(shares > 0, prior, 0.0)
    return prior / prior.sum()
