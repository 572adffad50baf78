"""What a file of weights is, by its first bytes: the ending of a name may be wrong."""

import re
from pathlib import Path

from bmjax.errors import CheckpointError
from bmjax.files import describe_os_error, open_regular

_LFS = b"version https://git-lfs.github.com/spec/"  # git-lfs, docs/spec.md
_READ = 512  # bytes: a tar archive shows itself at 257
# What the first bytes say of files that are no weights, and what to do with them.
_OTHERS = (
    (
        re.compile(_LFS),
        "a Git LFS pointer, a text in place of the weights; run git lfs pull in its "
        "repository",
    ),
    (
        re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?a-zA-Z]"),
        "a web page or a server's error message; open it to see which, and download "
        "the weights again",
    ),
    (
        re.compile(rb"\s*\{"),
        "a JSON text, such as the index of weights in several files; give one file "
        "that holds the whole network",
    ),
    (re.compile(rb"\x1f\x8b"), "compressed by gzip; unpack it with gunzip"),
    (re.compile(rb"(?s).{257}ustar"), "a tar archive; unpack it, and give the file"),
    (
        re.compile(rb"\x89HDF\r\n"),
        "an HDF5 file, as of Keras; give a .safetensors or .pth file of the network",
    ),
    (
        re.compile(rb"[\t\n\r -~]{16,}\Z"),
        "a text; give a .safetensors or .pth file of the network",
    ),
)


def file_kind(path: Path) -> str:
    """Tell "safetensors" from "pth" (either of torch's formats) by content.

    Where the first bytes are those of neither, the name's ending decides, and whoever
    reads the file says what is wrong with it.

    Raises:
        CheckpointError: it is something else that is often saved in place of weights,
            or it cannot be read.
    """
    try:
        with open_regular(path) as file:
            begin = file.read(_READ)
    except OSError as error:
        raise CheckpointError(
            f"{str(path)!r} cannot be read: {describe_os_error(error)}; give a file of "
            "weights that may be read"
        ) from None
    # Eight bytes of length, then the header, which is JSON.
    if begin[8:9] == b"{" and begin[6:8] == b"\0\0":
        return "safetensors"
    # A zip archive, or a pickle of protocol 2 or later.
    if re.match(rb"PK\x03\x04|\x80[\x02-\x05]", begin):
        return "pth"
    for pattern, what in _OTHERS:
        if pattern.match(begin):
            raise CheckpointError(f"{str(path)!r} is {what}")
    return "safetensors" if path.suffix == ".safetensors" else "pth"


def swapped_suffix(path: Path, kind: str) -> str:
    """A note where the name's ending says another kind; "" where it does not."""
    named = "safetensors" if path.suffix == ".safetensors" else "pth"
    if named == kind:
        return ""
    kinds = {"safetensors": "a .safetensors file", "pth": "a file of torch (.pth)"}
    return f"note: {path} is {kinds[kind]} by its content, and is read as one"
