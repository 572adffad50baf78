"""The ways to learn: one file, one method; this table is the whole registry."""

from bmjax.methods import cutmix, dino, linear, mixup, supcon, supervised, swav

# By config.method.name: a file with HEADS, LARGE_VIEWS, LABELS, RANGES and
# make(network, *, recipe, ...) -> Method. docs/adding-a-method.md has the contract.
METHODS = {
    "supervised": supervised,
    "mixup": mixup,
    "cutmix": cutmix,
    "linear": linear,
    "swav": swav,
    "supcon": supcon,
    "dino": dino,
}
