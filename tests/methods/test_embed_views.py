"""The embeddings that methods share: their order and their length."""

import jax
import numpy as np
import pytest

from bmjax.methods.embed_views import embed_views, unit
from tests.helpers.toy_network import toy_network, toy_recipe


@pytest.fixture
def embed():
    """Embeddings of six images, as a function of whether they are normalized."""
    network = toy_network(head="linear", embedding_dim=3)
    pixels = jax.random.randint(jax.random.key(0), (6, 8, 8, 3), 0, 256)
    images = toy_recipe(jax.random.key(1), pixels.astype("uint8"))
    params, batch_stats = network.init(
        jax.random.key(2), tuple(views[:, 0] for views in images)
    )

    def run(**more):
        return embed_views(network, params, batch_stats, images, **more)

    return run


def test_embeddings_have_length_1_unless_they_are_asked_for_as_they_are(embed):
    raw, raw_stats = embed(normalize=False)
    normalized, stats = embed()
    np.testing.assert_array_equal(normalized, unit(raw))
    np.testing.assert_allclose(np.linalg.norm(normalized, axis=-1), 1, rtol=1e-5)
    assert np.ptp(np.linalg.norm(raw, axis=-1)) > 1e-3
    jax.tree.map(np.testing.assert_array_equal, raw_stats, stats)
