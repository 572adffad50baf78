"""The ways to learn: one file, one method; this table is the whole registry."""

from bmjax.methods import cutmix, linear, mixup, supcon, supervised, swav

# name in config.method.name -> make(network, *, ...) -> Method
METHODS = {
    "supervised": supervised.make,
    "mixup": mixup.make,
    "cutmix": cutmix.make,
    "linear": linear.make,
    "swav": swav.make,
    "supcon": supcon.make,
}
