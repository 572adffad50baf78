"""The methods: one file each; this table is the whole registry."""

from bmjax.methods.cutmix import CUTMIX
from bmjax.methods.dino import DINO
from bmjax.methods.ibot import IBOT
from bmjax.methods.linear import LINEAR
from bmjax.methods.mixup import MIXUP
from bmjax.methods.supcon import SUPCON
from bmjax.methods.supervised import SUPERVISED
from bmjax.methods.swav import SWAV

# By config.method.name. docs/adding-a-method.md says what a description holds.
METHODS = {
    "supervised": SUPERVISED,
    "mixup": MIXUP,
    "cutmix": CUTMIX,
    "linear": LINEAR,
    "swav": SWAV,
    "supcon": SUPCON,
    "dino": DINO,
    "ibot": IBOT,
}
