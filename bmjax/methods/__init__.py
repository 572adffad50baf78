"""The ways to learn: one file, one method; this table is the whole registry."""

from bmjax.methods import supervised, swav

# name in config.method.name -> make(network, *, ...) -> Method
METHODS = {
    "supervised": supervised.make,
    "swav": swav.make,
}
