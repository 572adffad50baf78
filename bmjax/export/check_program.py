"""Whether an exported program still gives the outputs that were kept beside it."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.encoder import load
from bmjax.errors import CheckpointError, ConfigError, first_line
from bmjax.files import file_sha256, read_json_object
from bmjax.npz_file import read_npz

# Of the largest value of an output. Other programs and processors that compute in
# float32 stay below 1e-5; ours, as of same_weights.TOLERANCE.
MOST_APART = 1e-4

Run = Callable[[np.ndarray], dict[str, Any]]


def check_program(file: Path, source: Path | None = None) -> str:
    """Run a program on its golden input and compare the outputs.

    Args:
        file: .onnx or .stablehlo, with the two files that were written beside it.
        source: workdir of a run, or a file of weights, that it should be of.

    Returns:
        one line on what was found.

    Raises:
        ConfigError: one of the three files is missing, or the library that runs it is.
        CheckpointError: the program is another one than was written, or of other
            parameters than the source; it cannot be run, or gives other outputs.
    """
    about, golden = _beside(file)
    if (found := file_sha256(file)) != about["program_sha256"]:
        raise CheckpointError(
            f"{str(file)!r} has the SHA-256 {found[:12]}, expected "
            f"{about['program_sha256'][:12]} as in '{file}.json'; export it again"
        )
    if source is not None:
        _check_source(file, source, about)
    run = _open_onnx(file) if file.suffix == ".onnx" else _open_stablehlo(file)
    try:
        given = {k: np.asarray(v) for k, v in run(golden["pixels"]).items()}
    except Exception as error:  # each library has errors of its own
        raise CheckpointError(
            f"{str(file)!r} cannot be run here ({first_line(error)}); export it again"
        ) from None
    apart = {name: _apart(given, golden, name) for name in about["outputs"]}
    name = max(apart, key=lambda one: apart[one])
    said = f"differ by {apart[name]:.1e} of the largest value ({name})"
    if not apart[name] <= MOST_APART:
        raise CheckpointError(
            f"{str(file)!r} gives other outputs than '{file}.golden.npz' holds: they "
            f"{said}, expected at most {MOST_APART:.0e}; do not use it with this "
            "library and machine, or export it again"
        )
    return f"{file}: outputs of the golden images {said}"


def _beside(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the two files say that were written beside a program."""
    record, golden = (file.with_name(file.name + e) for e in (".json", ".golden.npz"))
    for one in (file, record, golden):
        if not one.is_file():
            raise ConfigError(
                f"--check={str(file)!r} needs {str(one)!r}, which is not there; keep "
                "the three files that bmjax export wrote together, or export it again"
            )
    try:
        about = read_json_object(record)
        for key in ("program_sha256", "sha256", "network"):
            if not isinstance(about.get(key), str):
                raise ValueError(f"it has no {key}")
        if not isinstance(about.get("outputs"), dict) or not about["outputs"]:
            raise ValueError("it names no outputs")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{str(record)!r} cannot be used ({error}); export the program again"
        ) from None
    try:
        return about, read_npz(golden, ("pixels", *about["outputs"]))
    except ValueError as error:
        raise CheckpointError(
            f"{str(golden)!r} is damaged ({error}); export the program again"
        ) from None


def _check_source(file: Path, source: Path, about: dict[str, Any]) -> None:
    """Raise CheckpointError unless a program is of the source's parameters."""
    name = "" if source.is_dir() else about["network"]
    found, expected = (
        load(source, name, batch_size=1, devices=1).digest,
        about["sha256"],
    )
    if found != expected:
        raise CheckpointError(
            f"{str(file)!r} is of the parameters {expected[:12]}, and {str(source)!r} "
            f"has {found[:12]}; export it again"
        )


def _open_onnx(file: Path) -> Run:
    if find_spec("onnxruntime") is None:
        raise ConfigError(
            "an .onnx file is checked with onnxruntime, which is not installed; run "
            "pip install onnxruntime"
        )
    import onnxruntime

    def run(pixels: np.ndarray) -> dict[str, Any]:
        session = onnxruntime.InferenceSession(
            str(file), providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {"pixels": pixels}), strict=True))

    return run


def _open_stablehlo(file: Path) -> Run:
    if find_spec("flatbuffers") is None:
        raise ConfigError(
            "a .stablehlo file is checked with flatbuffers, which is not installed; "
            "run pip install flatbuffers"
        )
    from jax import export

    return lambda pixels: export.deserialize(bytearray(file.read_bytes())).call(pixels)


def _apart(given: dict[str, np.ndarray], golden: Any, name: str) -> float:
    """The largest difference of an output, as a share of its largest value."""
    found, expected = given.get(name), golden[name]
    if found is None or found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())
