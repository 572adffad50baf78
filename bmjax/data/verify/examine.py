"""One image file, read once: what it is, what is wrong with it, its digests."""

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from bmjax.data.images.content import foreign_content
from bmjax.data.images.decode import BYTE_LIMIT, PIXEL_LIMIT, decode_whole
from bmjax.data.images.header import Header, find_end, read_header
from bmjax.data.verify.duplicates import DIGEST
from bmjax.data.verify.garble import looks_garbled
from bmjax.errors import DataError, Stopped
from bmjax.files import open_regular

_SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",)}
_ORIENTATION = 274  # EXIF tag


class Examined(NamedTuple):
    """What was found in one file.

    Attributes:
        size: width and height in pixels, upright; None where it was not decoded.
        bytes_digest: of the file; None where it was not read or is empty.
        pixels_digest: of its picture and size; None where it was not decoded.
        findings: pairs of a kind and the particulars in words.
    """

    size: tuple[int, int] | None = None
    bytes_digest: bytes | None = None
    pixels_digest: bytes | None = None
    findings: tuple[tuple[str, str], ...] = ()


def examine(path: Path) -> Examined:
    """Read a file and look at it from its head to its pixels."""
    try:
        if os.path.getsize(path) > BYTE_LIMIT:
            detail = f"more than {BYTE_LIMIT // 2**20} MiB; it was not read"
            return Examined(findings=(("bomb", detail),))
        with open_regular(path) as file:
            encoded = np.fromfile(file, np.uint8)
    except OSError as error:
        return Examined(findings=(("unreadable", error.strerror or ""),))
    if not encoded.size:
        return Examined(findings=(("empty", ""),))
    digest = _digest(encoded)
    header = read_header(encoded)
    if header is None:
        finding = _no_image(encoded)
        return Examined(bytes_digest=digest, findings=(finding,))
    if header.width * header.height > PIXEL_LIMIT:
        detail = f"{header.width} x {header.height} pixels; it was not decoded"
        return Examined(bytes_digest=digest, findings=(("bomb", detail),))
    findings = _from_header(encoded, header, path.suffix.lower())
    end = find_end(encoded, header)
    pixels, warning = _decode(encoded)
    if end is None:
        findings.append(("truncated", "no end marker"))
    elif pixels is None:
        findings.append(("unreadable", "the decoder gives up"))
    elif "premature end" in warning:
        findings.append(("truncated", "an end marker, but too little before it"))
    elif warning:
        findings.append(("damaged", warning))
    if end is not None and end < encoded.size:
        findings.append(("trailing_bytes", f"{encoded.size - end} bytes"))
    if pixels is None:
        return Examined(bytes_digest=digest, findings=tuple(findings))
    certain = {kind for kind, _ in findings} & {"truncated", "damaged"}
    if not certain and looks_garbled(pixels, header.block):
        findings.append(("looks_garbled", ""))
    return Examined(
        size=pixels.shape[1::-1],
        bytes_digest=digest,
        pixels_digest=_digest(pixels),
        findings=tuple(findings),
    )


def _no_image(encoded: np.ndarray) -> tuple[str, str]:
    start = encoded[:8].tobytes()
    if start.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        return "truncated", "it ends within its header, or its header is damaged"
    what, cure = foreign_content(encoded)
    if what:
        return "not_an_image", f"it seems to be {what}; {cure}"
    return "not_an_image", f"{encoded.size} bytes"


def _from_header(
    encoded: np.ndarray, header: Header, suffix: str
) -> list[tuple[str, str]]:
    """What the head of a file says about colors, turning and format."""
    jpeg = header.format == "JPEG"
    told = [
        ("palette", header.palette),
        ("grey", not header.palette and header.channels < 3),
        ("cmyk", jpeg and header.channels == 4),
        ("alpha", not jpeg and header.channels in (2, 4)),
        ("sixteen_bit", header.bits > 8),
        ("progressive", header.progressive),
    ]
    findings = [(kind, "") for kind, is_so in told if is_so]
    orientation = _orientation(encoded, header)
    if orientation not in (None, 1):
        findings.append(("rotated", f"EXIF orientation {orientation}"))
    if suffix not in _SUFFIXES[header.format]:
        findings.append(("suffix", f"a {header.format} named {suffix}"))
    return findings


def _orientation(encoded: np.ndarray, header: Header) -> int | None:
    data = encoded[: header.body if header.format == "JPEG" else None].tobytes()
    if (b"Exif\0" if header.format == "JPEG" else b"eXIf") not in data:
        return None
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=(header.format,)) as image:
            return image.getexif().get(_ORIENTATION)
    except Stopped:
        raise
    except Exception:  # whatever hostile EXIF makes of the parser: none
        return None


def _decode(encoded: np.ndarray) -> tuple[np.ndarray | None, str]:
    """Pixels as training sees them, and what the decoder complained of."""
    with _complaints() as complaints:
        try:
            pixels = decode_whole(encoded, name="")
        except DataError:
            pixels = None
    return pixels, complaints[0]


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Catch what libjpeg and libpng write to standard error, their only way to warn.

    The descriptor is the process's: nothing else may write to it meanwhile.
    """
    said = [""]
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield said
        return
    log = _log().fileno()
    try:
        os.dup2(log, 2)
        yield said
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        length = os.lseek(log, 0, os.SEEK_CUR)
        if length:
            os.lseek(log, 0, os.SEEK_SET)
            said[0] = _about_data(os.read(log, min(length, 1000)))
            os.lseek(log, 0, os.SEEK_SET)
            os.ftruncate(log, 0)


@cache
def _log() -> IO[bytes]:
    """A nameless file, one for each process."""
    return tempfile.TemporaryFile()


def _about_data(said: bytes) -> str:
    """The first complaint that is about the picture's data, not about a profile."""
    for line in said.decode("ascii", errors="replace").splitlines():
        if line.startswith(("Corrupt JPEG data: ", "Premature end")):
            return line.removeprefix("Corrupt JPEG data: ").strip().lower()
    return ""


def _digest(array: np.ndarray) -> bytes:
    sums = hashlib.sha256(repr(array.shape).encode())
    sums.update(np.ascontiguousarray(array))
    return sums.digest()[:DIGEST]
