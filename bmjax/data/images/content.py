"""What the bytes of a file are where they are no JPEG or PNG, in words with a cure."""

import numpy as np

# First bytes of other formats, in words.
_SIGNATURES = {
    b"GIF8": "a GIF", b"BM": "a BMP", b"RIFF": "a WebP", b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF", b"II+\0": "a BigTIFF", b"MM\0+": "a BigTIFF", b"%PDF": "a PDF",
    b"PK": "a ZIP", b"\0\0\0\x0cjP": "a JPEG 2000", b"\xff\x4f\xff\x51": "a JPEG 2000",
    b"<": "a page or drawing", b"\xef\xbb\xbf<": "a page or drawing",
}  # fmt: skip
_POINTERS = {
    b"version https://git-lfs": ("a Git LFS pointer", "git lfs pull"),
    b"/annex/objects/": ("a git-annex pointer", "git annex get"),
}


def foreign_content(encoded: np.ndarray) -> tuple[str, str]:
    """Name what a file is that is no JPEG or PNG, and how it becomes one.

    Args:
        encoded: uint8 [bytes], the file.

    Returns:
        What it is ("a TIFF"), and the cure; both "" where the bytes do not tell.
    """
    start = encoded[:32].tobytes()
    for sign, (what, command) in _POINTERS.items():
        if start.startswith(sign):
            return what, f"the image itself was not fetched: run {command!r} there"
    if start[4:8] == b"ftyp":
        return "a HEIC or AVIF", "convert it to PNG"
    for sign, what in _SIGNATURES.items():
        if start.startswith(sign):
            if what in ("a PDF", "a ZIP", "a page or drawing"):
                return what, "replace it by the image"
            return what, "convert it to PNG"
    return "", ""
