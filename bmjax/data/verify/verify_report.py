"""Verification from one end to the other: list, examine, compare, count."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bmjax.data.images.catalog import fingerprint
from bmjax.data.images.folder import TCIA
from bmjax.data.verify import release
from bmjax.data.verify.duplicates import Group, find_duplicates
from bmjax.data.verify.examine import Examined
from bmjax.data.verify.folder_content import (
    FolderContent,
    LabeledFile,
    read_content,
)
from bmjax.data.verify.kinds import FINDING_KINDS, Finding, Weight
from bmjax.data.verify.scan import examine_files
from bmjax.errors import DataError, check_known


@dataclass(frozen=True)
class ClassCount:
    """Images of one class.

    Attributes:
        images: how many there are.
        expected: how many the release has; None outside the release.
        missing: numbers in the release that no image has, as runs ("7", "12-40").
    """

    images: int
    expected: int | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What verification found.

    Attributes:
        root: the folder.
        inside: the folder below it that holds the class folders; "" is the root.
        is_release: whether it was held against the release.
        classes: of each class folder, and each class that the release has.
        files: how many files there are, whatever they are.
        paths: of all images, by class and path, below the root.
        sizes: of each image, width and height; None where it was not decoded.
        total_bytes: of all images.
        fingerprint: as `folder.read_folder` gives it, of the images.
        findings: all that was found, duplicates apart.
        duplicates: positions in `paths` of files that are one picture.
        accepted: kinds that are not to count as problems.
    """

    root: Path
    inside: str
    is_release: bool
    classes: dict[str, ClassCount]
    files: int
    paths: tuple[str, ...]
    sizes: Counter
    total_bytes: int
    fingerprint: str
    findings: tuple[Finding, ...]
    duplicates: tuple[Group, ...]
    accepted: frozenset[str]

    def is_problem(self, kind: str) -> bool:
        """Whether a kind counts against this folder."""
        weight = FINDING_KINDS[kind].weight
        if kind in self.accepted or weight is Weight.NOTE:
            return False
        return self.is_release or weight is not Weight.FOREIGN

    def counts(self) -> Counter:
        """How often each kind was found; of duplicates, every file in a group."""
        counts = Counter(finding.kind for finding in self.findings)
        for group in self.duplicates:
            counts[group.kind] += len(group.members)
        return counts

    @property
    def problems(self) -> int:
        """How many problems there are, suspicions with them."""
        counts = self.counts()
        return sum(n for kind, n in counts.items() if self.is_problem(kind))


def verify(
    root: str | os.PathLike,
    *,
    own: bool = False,
    accept: Sequence[str] = (),
    workers: int | None = None,
) -> Report:
    """Read every file of a folder of images once and say what is wrong.

    A folder most of whose class folders have the release's abbreviations is held
    against the release: counts, names, sizes. What is read is what training reads.

    Args:
        root: the folder, as for training.
        own: never hold it against the release.
        accept: kinds that are not to count as problems.
        workers: processes that read; None: one for each core.

    Raises:
        ConfigError: no kind of that name.
        DataError: no such folder, or a file brought a process down.
    """
    root = Path(root)
    for kind in accept:
        check_known("--accept", kind, tuple(FINDING_KINDS))
    content = _read_content(root)
    images = content.images
    is_release = release.is_release(content.classes) and not own
    found = examine_files(root, [image.path for image in images], workers=workers)
    findings = list(content.findings)
    for image, examined in zip(images, found, strict=True):
        findings += [Finding(k, image.path, why) for k, why in examined.findings]
    sizes = Counter(examined.size for examined in found if examined.size)
    findings += _other_sizes(images, found, _usual_size(sizes, is_release))
    classes = _count(content.classes, images, is_release)
    findings += _wrong_counts(classes, is_release)
    if is_release:
        findings += release.check_names(images, content.inside)
    groups = find_duplicates(
        [examined.bytes_digest for examined in found],
        [examined.pixels_digest for examined in found],
        [image.label for image in images],
    )
    return Report(
        root=root,
        inside=content.inside,
        is_release=is_release,
        classes=classes,
        files=content.files,
        paths=tuple(image.path for image in images),
        sizes=sizes,
        total_bytes=sum(image.size for image in images),
        fingerprint=fingerprint(
            (_below(image.path, content.inside) for image in images),
            (image.size for image in images),
        ),
        findings=tuple(findings),
        duplicates=tuple(groups),
        accepted=frozenset(accept),
    )


def _read_content(root: Path) -> FolderContent:
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(
            f"root = {str(root)!r} {what}; give the folder that holds one folder of "
            f"images for each class, such as {TCIA}"
        )
    try:
        return read_content(root)
    except OSError as error:
        raise DataError(
            f"root = {str(root)!r} cannot be read: {error.strerror}; mend its "
            "permissions"
        ) from None


def _usual_size(sizes: Counter, is_release: bool) -> tuple[int, int] | None:
    if is_release:
        return release.SIZE
    return max(sizes, key=lambda size: (sizes[size], size)) if sizes else None


def _other_sizes(
    images: Sequence[LabeledFile],
    found: Sequence[Examined],
    usual: tuple[int, int] | None,
) -> list[Finding]:
    return [
        Finding(
            "size",
            image.path,
            f"{examined.size[0]} x {examined.size[1]}, not {usual[0]} x {usual[1]}",
        )
        for image, examined in zip(images, found, strict=True)
        if usual and examined.size and examined.size != usual
    ]


def _count(
    known: Sequence[str], images: Sequence[LabeledFile], is_release: bool
) -> dict[str, ClassCount]:
    names = {*known, *(release.COUNTS if is_release else ())}
    paths: dict[str, list[str]] = {name: [] for name in sorted(names)}
    for image in images:
        paths[image.label].append(image.path)
    if not is_release:
        return {name: ClassCount(len(own)) for name, own in paths.items()}
    return {
        name: ClassCount(
            len(own),
            release.COUNTS.get(name, 0),
            tuple(release.missing_numbers(own, name)) if name in release.COUNTS else (),
        )
        for name, own in paths.items()
    }


def _wrong_counts(classes: dict[str, ClassCount], is_release: bool) -> list[Finding]:
    findings = []
    for name, count in classes.items():
        if is_release and name not in release.COUNTS:
            findings.append(Finding("unknown_class", name, f"{count.images} images"))
        elif is_release and count.images != count.expected:
            detail = f"{count.images:,} images, {count.expected:,} in Table 1"
            findings.append(Finding("count", name, detail))
        elif not count.images:
            findings.append(Finding("empty_class", name))
    if not classes:
        findings.append(Finding("empty_class", ".", "no class folder at all"))
    return findings


def _below(path: str, inside: str) -> str:
    """A path below the folder that holds the classes."""
    return path.removeprefix(f"{inside}/") if inside else path
