"""A trained network as one StableHLO program, by jax.export: pixels in, classes out.

The program needs jax, numpy and flatbuffers, and none of bmjax. jax promises to read a
file for six months after it was written (docs.jax.dev, "Exporting and serializing
staged-out computations", compatibility guarantees).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
from jax import export

from bmjax.encoder import Encoder
from bmjax.errors import ConfigError
from bmjax.export.program_files import any_number_of, serving, write_program

PLATFORMS = ("cpu", "cuda", "tpu")


def write_stablehlo(out: Path, encoder: Encoder) -> dict[str, Any]:
    """Write the program and the two files beside it; return what FILE.json holds.

    Args:
        out: the file.
        encoder: the trained network.

    Raises:
        ConfigError: flatbuffers is not installed.
        CheckpointError: a run's linear classifier is damaged.
        OSError: a file cannot be written.
    """
    if find_spec("flatbuffers") is None:
        raise ConfigError(
            "a .stablehlo file is written with flatbuffers, which is not installed; "
            "run pip install flatbuffers"
        )
    serve = jax.jit(serving(encoder))
    program = export.export(serve, platforms=PLATFORMS)(any_number_of(encoder.size))
    return write_program(
        out,
        bytes(program.serialize()),
        encoder,
        program.call,
        platforms=list(PLATFORMS),
        calling_convention_version=program.calling_convention_version,
    )
