"""DINOv3 (Siméoni et al. 2025), the vision transformers up to H+.

As facebookresearch/dinov3 builds them (`hub/backbones.py`): patches of 16 pixels, four
registers ("storage tokens"), rotary positions of patches alone, keys without a bias,
layer normalization with epsilon 1e-5, SwiGLU in the sizes with a plus.

Training from chance begins as there (`vision_transformer.py`): class token and
registers with deviation 0.02, LayerScale at 1e-5. Its coordinates are not jittered.
"""

from bmjax.models.preprocessing import FOR_DINOV3
from bmjax.models.vision_transformer import VitSpec, make_family

_SMALL = VitSpec(
    width=384,
    depth=12,
    heads=6,
    epsilon=1e-5,
    layer_scale=1e-5,
    registers=4,
    class_std=0.02,
    register_std=0.02,
    rotary=True,
    key_bias=False,
    drop_path_rises=False,
)
_LARGE = _SMALL._replace(width=1024, depth=24, heads=16)
# Ours, for tests, and of test files of weights under the authors' names.
_TINY = _SMALL._replace(width=96, depth=3, heads=4)

DINOV3 = make_family(
    "DINOv3 vision transformer",
    {
        "dinov3_vits16": _SMALL,
        "dinov3_vits_plus16": _SMALL._replace(mlp="swiglu"),
        "dinov3_vitb16": _SMALL._replace(width=768, heads=12),
        "dinov3_vitl16": _LARGE,
        "dinov3_vitl_plus16": _LARGE._replace(mlp="swiglu"),
        "dinov3_vith_plus16": _SMALL._replace(
            width=1280, depth=32, heads=20, mlp="swiglu"
        ),
        "dinov3_tiny16": _TINY,
        "dinov3_tiny_swiglu16": _TINY._replace(mlp="swiglu"),
        # Ours, for demonstrations and tests.
        "dinov3_nano16": _SMALL._replace(width=16, depth=2, heads=2),
    },
    first_entry="storage_tokens",
    registers="storage_tokens",
    preprocessing=lambda spec: FOR_DINOV3,
)
