"""The plain vision transformer, as timm lays it out.

Sources: Dosovitskiy et al. 2021; Steiner et al. 2022 for the small sizes. Positions are
learned; there is neither LayerScale nor a register. Constants are timm's: layer
normalization with epsilon 1e-6, initial values of `init_weights_vit_timm`.
"""

from bmjax.models.preprocessing import FOR_TIMM_VIT
from bmjax.models.vision_transformer import VitSpec, make_family

VITS = make_family(
    "vision transformer",
    {
        # timm's.
        "vit_tiny_patch16_224": VitSpec(width=192, depth=12, heads=3),
        "vit_small_patch16_224": VitSpec(width=384, depth=12, heads=6),
        "vit_base_patch16_224": VitSpec(width=768, depth=12, heads=12),
        # Ours, for a CPU: small cells in 64 patches.
        "vit_tiny_patch8_64": VitSpec(width=96, depth=6, heads=3, patch=8, size=64),
        # Ours, for tests: two blocks, positions of four patches.
        "vit_tiny": VitSpec(width=16, depth=2, heads=2, patch=8, size=16),
    },
    first_entry="patch_embed.proj.weight",
    preprocessing=lambda spec: FOR_TIMM_VIT,
)
