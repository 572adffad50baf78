"""DINOv2 (Oquab et al. 2023), with and without registers, and DinoBloom's copies of it.

As facebookresearch/dinov2 builds them (`hub/backbones.py`): patches of 14 pixels,
positions for 518 pixels, layer normalization with epsilon 1e-6, LayerScale, SwiGLU in
the largest. Without registers positions are interpolated by DINOv2's offset rule, with
registers by size and antialiased. DinoBloom (Koch et al. 2024) has positions for 224
pixels.

Training from chance begins as there (`ssl_default_config.yaml`): LayerScale at 1e-5,
class token and registers with deviation 1e-6, and stochastic depth, where
`config.model.drop_path` asks for it, the same in all blocks.
"""

from bmjax.models.preprocessing import FOR_DINOBLOOM, FOR_DINOV2
from bmjax.models.vision_transformer import VitSpec, make_family

_SMALL = VitSpec(
    width=384,
    depth=12,
    heads=6,
    patch=14,
    size=518,
    layer_scale=1e-5,
    interpolation="offset",
    drop_path_rises=False,
)
_SIZES = {
    "s": _SMALL,
    "b": _SMALL._replace(width=768, heads=12),
    "l": _SMALL._replace(width=1024, depth=24, heads=16),
    "g": _SMALL._replace(width=1536, depth=40, heads=24, mlp="swiglu_joint"),
}
_REGISTERS = {"registers": 4, "interpolation": "size_antialias"}
# Ours, for tests, and of test files of weights under the authors' names.
_TINY = _SMALL._replace(width=96, depth=3, heads=4, size=56)

DINOV2 = make_family(
    "DINOv2 vision transformer",
    {
        **{f"dinov2_vit{key}14": spec for key, spec in _SIZES.items()},
        **{
            f"dinov2_vit{key}14_reg": spec._replace(**_REGISTERS)
            for key, spec in _SIZES.items()
        },
        **{f"dinobloom_{key}": spec._replace(size=224) for key, spec in _SIZES.items()},
        "dinov2_tiny14": _TINY,
        "dinov2_tiny_swiglu14": _TINY._replace(size=98, mlp="swiglu_joint"),
        # Ours, for demonstrations and tests: two blocks, positions of four patches.
        "dinov2_nano14": _SMALL._replace(width=16, depth=2, heads=2, size=28),
        "dinov2_nano14_reg": _SMALL._replace(
            width=16, depth=2, heads=2, size=28, **_REGISTERS
        ),
    },
    first_entry="pos_embed",
    registers="register_tokens",
    preprocessing=lambda spec: FOR_DINOBLOOM if spec.size == 224 else FOR_DINOV2,
)
