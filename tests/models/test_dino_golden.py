"""DINOv2, DinoBloom and DINOv3 are the authors' own networks, and nothing near them.

tests/golden/vit_*.npz hold what facebookresearch/dinov2 and facebookresearch/dinov3
compute in float64 on weights and images that tests/helpers/golden_vit.py rebuilds.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from bmjax.models import rope, transformer_layers
from bmjax.models.families import NETWORKS, family_of
from bmjax.models.vision_transformer import VisionTransformer
from tests.helpers.golden_vit import golden_variables, vit_images, vit_record

EXACT = 1e-9  # float64, the same sums in another order
SINGLE = 1e-6  # the originals interpolate and rotate in float32

CASES = [
    ("dinov2_tiny14", "n3_56", EXACT),
    ("dinov2_tiny_swiglu14", "n2_70", SINGLE),
    ("dinov3_tiny_swiglu16", "n2_64", SINGLE),
]
MORE_CASES = [
    ("dinov2_tiny_swiglu14", "n2_98", EXACT),
    ("dinov3_tiny16", "n2_64", SINGLE),
    ("dinobloom_s", "n2_224", EXACT),
    ("dinov2_vits14", "n1_98", SINGLE),
    ("dinov2_vits14_reg", "n1_126", SINGLE),
    ("dinov3_vits16", "n1_256x160", SINGLE),
    ("dinov2_vits14", "n1_518", EXACT),
    ("dinov2_vits14_reg", "n2_224", SINGLE),
]


slow = partial(pytest.param, marks=pytest.mark.slow)


@cache
def variables_of(network):
    with jax.enable_x64(True):
        return golden_variables(network)


@cache
def images_of(network, case):
    record = vit_record(network)
    shape = tuple(int(length) for length in record[f"{case}/shape"])
    images = vit_images(f"{network}-{case}", shape)
    head = images.transpose(0, 3, 1, 2).ravel()[:8]
    np.testing.assert_array_equal(head, record[f"{case}/input_head"].astype(np.float32))
    return images


def check_tokens(network, case, tolerance, **changed):
    """Assert that a network's tokens, its spec changed so, are as recorded."""
    record, spec = vit_record(network), NETWORKS[network]._replace(**changed)
    module = VisionTransformer(spec, jnp.float64)

    def apply(variables, images):
        return module.apply(variables, images, train=False, method="tokens")

    images = jnp.asarray(images_of(network, case), jnp.float64)
    tokens = jax.jit(apply)(variables_of(network), images)
    assert tokens.shape[1] == record[f"{case}/tokens"]
    begin = int(record["prefix_tokens"])
    for name, found in (
        ("cls", tokens[:, 0]),
        ("patch_mean", tokens[:, begin:].mean(axis=1)),
        ("patch_first", tokens[:, begin, :32]),
        ("patch_last", tokens[:, -1, :32]),
    ):
        expected = record[f"{case}/{name}"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("network", "case", "tolerance"), CASES)
def test_tokens_are_the_authors(network, case, tolerance, float64):
    check_tokens(network, case, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "case", "tolerance"), MORE_CASES)
def test_tokens_of_more_networks_are_the_authors(network, case, tolerance, float64):
    check_tokens(network, case, tolerance)


@pytest.mark.parametrize(
    ("network", "case", "tolerance"),
    [
        slow("dinov2_tiny14", "n3_56", EXACT),
        slow("dinov2_tiny_swiglu14", "n2_98", EXACT),
        slow("dinov3_tiny16", "n2_64", SINGLE),
        slow("dinov3_tiny_swiglu16", "n2_64", SINGLE),
    ],
)
def test_gradients_are_the_authors(network, case, tolerance, float64):
    record, variables = vit_record(network), variables_of(network)
    module = VisionTransformer(NETWORKS[network], jnp.float64)
    rest = {tree: leaves for tree, leaves in variables.items() if tree != "params"}

    @jax.jit
    @jax.grad
    def gradient(params, images):
        features = module.apply({"params": params, **rest}, images, train=False)
        return jnp.sum(features**2)

    images = jnp.asarray(images_of(network, case), jnp.float64)
    found = gradient(variables["params"], images)
    recorded = {name for name in record if name.startswith(f"{case}/grad_norm/")}
    for path, values in flatten_dict(found).items():
        name = f"{case}/grad_norm/{family_of(network).entry(path)}"
        recorded.discard(name)
        np.testing.assert_allclose(
            np.linalg.norm(values), record[name], rtol=tolerance, atol=tolerance
        )
    # Nothing masks a patch, so the mask token has no part in features.
    assert all(name.endswith("mask_token") for name in recorded)


def tanh_gelu(patch):
    patch.setattr(transformer_layers, "gelu", partial(jax.nn.gelu, approximate=True))


def gelu_by_sigmoid(patch):
    patch.setattr(transformer_layers, "gelu", lambda x: x * jax.nn.sigmoid(1.702 * x))


def rotated_in_pairs(patch):
    """Planes of neighboring numbers, as in the text of RoFormer."""
    turn = rope.rotate

    def rotate(vectors, rotation):
        pairs = lambda x: jnp.concatenate([x[..., ::2], x[..., 1::2]], axis=-1)
        return turn(pairs(vectors), rotation)

    patch.setattr("bmjax.models.attention.rotate", rotate)


def rounded_periods(patch):
    """As in bfloat16, where the file's are float32."""
    patch.setitem(
        globals(), "variables_of", lambda network: _rounded(golden_variables(network))
    )


def _rounded(variables):
    stats = variables["batch_stats"]
    periods = stats["rope_embed"]["periods"].astype(jnp.bfloat16).astype(jnp.float64)
    return {**variables, "batch_stats": {**stats, "rope_embed": {"periods": periods}}}


@pytest.mark.parametrize(
    ("case", "changed", "substitute"),
    [
        ("dinov2", {"epsilon": 1e-5}, None),
        ("dinov2", {}, tanh_gelu),
        slow("dinov2", {}, gelu_by_sigmoid),
        slow("dinov2", {"layer_scale": 0.0}, None),
        ("dinov2_resized", {"interpolation": "size"}, None),
        slow("dinov2_resized", {"interpolation": "size_antialias"}, None),
        slow("dinov3", {"epsilon": 1e-6}, None),
        slow("dinov3", {"key_bias": True}, None),
        slow("dinov3", {}, rounded_periods),
        slow("dinov3", {}, rotated_in_pairs),
    ],
)
def test_what_is_nearly_the_same_is_told_apart(
    case, changed, substitute, monkeypatch, float64
):
    if substitute is not None:
        substitute(monkeypatch)
    right = {"dinov2": CASES[0], "dinov2_resized": CASES[1], "dinov3": CASES[2]}
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_tokens(*right[case], **changed)
