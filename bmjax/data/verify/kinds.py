"""What can be wrong with a folder of images: every kind, what it means, its weight."""

from enum import IntEnum
from typing import NamedTuple


class Weight(IntEnum):
    """How a kind counts, worst first."""

    PROBLEM = 0
    FOREIGN = 1  # a problem in the release, where it has no place; else a note
    SUSPICION = 2  # a problem until somebody has looked
    NOTE = 3


class Kind(NamedTuple):
    """One kind of finding.

    Attributes:
        weight: how it counts.
        meaning: in words, for one file.
        training: what training does with such a file.
    """

    weight: Weight
    meaning: str
    training: str


_REPLACED = "refused: replaced by another of its class, and counted"
_IGNORED = "not seen"
_READ = "read as it is"

FINDING_KINDS = {
    # The file.
    "unreadable": Kind(
        Weight.PROBLEM, "cannot be opened or cannot be decoded", _REPLACED
    ),
    "empty": Kind(Weight.PROBLEM, "has zero bytes", _REPLACED),
    "not_an_image": Kind(
        Weight.PROBLEM, "is no JPEG or PNG, whatever its name says", _REPLACED
    ),
    "truncated": Kind(
        Weight.PROBLEM,
        "ends before its picture does",
        "refused where the end marker is missing; else read, half of it one color",
    ),
    "damaged": Kind(
        Weight.PROBLEM, "decodes, but its data contradict themselves", _READ
    ),
    "bomb": Kind(
        Weight.PROBLEM,
        "declares more pixels, or holds more bytes, than are ever decoded",
        "refused for its pixels: replaced and counted",
    ),
    "reported_garbled": Kind(
        Weight.PROBLEM, "is garbled, as two public projects report", _READ
    ),
    "looks_garbled": Kind(
        Weight.SUSPICION, "breaks along its coded blocks: look at it", _READ
    ),
    # The picture.
    "size": Kind(
        Weight.FOREIGN, "is not of the release's, or the usual, size", "resized"
    ),
    "grey": Kind(Weight.FOREIGN, "is grey", "its grey stands for all three colors"),
    "cmyk": Kind(Weight.FOREIGN, "is CMYK, for print", "converted to RGB"),
    "sixteen_bit": Kind(
        Weight.FOREIGN, "has more than 8 bits a channel", "the upper 8 bits are kept"
    ),
    "palette": Kind(Weight.FOREIGN, "has a palette", "converted to RGB"),
    "alpha": Kind(Weight.FOREIGN, "has an alpha channel", "alpha is dropped"),
    "rotated": Kind(
        Weight.FOREIGN, "is to be turned, says its EXIF orientation", "turned"
    ),
    "progressive": Kind(Weight.FOREIGN, "is a progressive JPEG", _READ),
    "trailing_bytes": Kind(
        Weight.FOREIGN, "has bytes behind its end marker", "they are ignored"
    ),
    "suffix": Kind(Weight.FOREIGN, "has the suffix of another format", _READ),
    # The name and the place.
    "misnamed": Kind(Weight.PROBLEM, "is not named as the release's are", _READ),
    "hostile_name": Kind(
        Weight.PROBLEM,
        "has control characters, quotes, markup or no UTF-8 in its name",
        _READ,
    ),
    "unknown_class": Kind(
        Weight.PROBLEM, "is none of the release's class folders", "learned as a class"
    ),
    "empty_class": Kind(Weight.PROBLEM, "holds no image", "not learned"),
    "outside_classes": Kind(
        Weight.PROBLEM, "is an image outside the class folders", _IGNORED
    ),
    "other_format": Kind(
        Weight.PROBLEM,
        "is an image, but no JPEG or PNG by its suffix",
        "counted and not seen; refused where a class has no other images",
    ),
    "part_of_data": Kind(
        Weight.PROBLEM,
        "is a part of a data set (train, test), where a class is expected",
        "refused",
    ),
    "twin_classes": Kind(
        Weight.PROBLEM,
        "is named as another class folder but for case, spaces or Unicode form",
        "refused",
    ),
    "broken_link": Kind(Weight.PROBLEM, "is a link to nothing", _IGNORED),
    "link_loop": Kind(Weight.PROBLEM, "is a link to a folder around it", _IGNORED),
    "not_a_file": Kind(
        Weight.PROBLEM, "is a pipe, socket or device and was not opened", _IGNORED
    ),
    # The whole.
    "count": Kind(
        Weight.PROBLEM, "has not as many images as in Table 1", "learned as it is"
    ),
    "same_picture_two_classes": Kind(
        Weight.PROBLEM, "is the same picture as one of another class", _READ
    ),
    "same_bytes": Kind(Weight.PROBLEM, "is another file, byte for byte", _READ),
    "same_pixels": Kind(
        Weight.PROBLEM, "is another file's picture, pixel for pixel", _READ
    ),
    # In passing.
    "link_out": Kind(Weight.NOTE, "is a link to outside the folder", "followed"),
    "linked_folder": Kind(
        Weight.NOTE, "is a link to another folder within this one", "followed"
    ),
    "stray": Kind(Weight.NOTE, "is no image", _IGNORED),
    "hidden": Kind(
        Weight.NOTE,
        "is hidden: its name begins with a dot, or it is __MACOSX",
        _IGNORED,
    ),
}


class Finding(NamedTuple):
    """One thing found: its kind, the path it is at, the particulars in words."""

    kind: str
    path: str
    detail: str = ""
