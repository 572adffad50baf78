"""The map of the features (Figure 2 of the paper)."""

import numpy as np

from bmjax.evals.subset import choose_rows

_FEW = 1000  # points
_ONE_PLACE = 1e-6  # of the largest number: some roundings of float32; ours


def embed_2d(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    images: int,
    perplexity: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """t-SNE of at most `images` rows, every class kept in proportion, ten at least.

    The paper's settings are not known; these are scikit-learn's, started from the two
    first principal components, so that the map does not depend on chance. Features
    that are all the same, up to rounding, as after a collapse, have one place: there
    is nothing to map, and scikit-learn would end the process.

    Returns:
        rows, int [m], and their places, float [m, 2].
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = choose_rows(labels, images, seed)
    chosen = np.asarray(features[rows], np.float32)
    if (
        len(rows) < 4
        or not np.ptp(chosen, axis=0).max() > _ONE_PLACE * np.abs(chosen).max()
    ):
        return rows, np.zeros((len(rows), 2))
    # Threads wait for each other more than they work on a few points.
    with threadpool_limits(limits=1 if len(rows) < _FEW else None):
        places = TSNE(
            init="pca",
            perplexity=min(perplexity, (len(rows) - 1) / 3),
            random_state=seed,
        ).fit_transform(chosen)
    return rows, places
