"""Visual representations of bone-marrow cells, in JAX.

    encoder = bmjax.load("runs/swav")
    features = encoder.features("folder of images")

The package is imported without jax, so that commands answer at once: what is named here
is loaded when it is first asked for. docs/python.md shows its use.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bmjax.encoder import Encoder, load
    from bmjax.evals.assess import assess, compare
    from bmjax.evals.predictions import read_predictions

__all__ = ["Encoder", "assess", "compare", "load", "read_predictions"]

_MODULES = {
    "Encoder": "bmjax.encoder",
    "assess": "bmjax.evals.assess",
    "compare": "bmjax.evals.assess",
    "load": "bmjax.encoder",
    "read_predictions": "bmjax.evals.predictions",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'bmjax' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
