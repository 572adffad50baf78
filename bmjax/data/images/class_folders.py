"""Where the class folders of a listing are, and which of them cannot be classes."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from bmjax.data.images.listing import Listing

# The release splits large classes into folders like 1001-2000: parts, not classes.
_NUMBER_RANGE = re.compile(r"\d+-\d+")
# What people call the parts of a data set; ours.
_PART = re.compile(
    r"(train(ing)?|test(ing)?|val(id(ation)?)?|dev(el(opment)?)?|eval(uation)?"
    r"|hold[-_ ]?out)([-_ ]?(sets?|data|images?|cells?|splits?|parts?|\d+))*"
    r"|(folds?|splits?|parts?)[-_ ]?\d+",
    re.IGNORECASE,
)


class Layout(NamedTuple):
    """Where the classes are.

    Attributes:
        inside: folder below the root that holds the class folders; "" is the root.
        classes: names of the class folders, sorted, also of those without images.
        beside: folders beside `inside` that hold no image, sorted.
    """

    inside: str
    classes: tuple[str, ...]
    beside: tuple[str, ...] = ()

    def label(self, path: str) -> str | None:
        """The class folder that a path below the root lies in; None: in none."""
        below = self.below(path)
        name, slash, _ = (below or "").partition("/")
        return name if slash else None

    def below(self, path: str) -> str | None:
        """A path below the folder of the classes; None: it does not lie there."""
        if not self.inside:
            return path
        prefix = f"{self.inside}/"
        return path.removeprefix(prefix) if path.startswith(prefix) else None


def find_layout(listing: Listing) -> Layout:
    """Find the class folders: in the root, or in the one folder that wraps them.

    The release's archive has such a folder. Folders without images beside it do not
    matter. Images of a format that is not read count: their folder may be a class.
    """
    top = _names(listing.folders, "")
    holding = _holding(listing)
    # Without any image there is nothing to go by but the folders themselves.
    candidates = [name for name in top if name in holding] or top
    if len(candidates) == 1 and _wraps(candidates[0], listing, holding):
        inside = candidates[0]
        beside = tuple(name for name in top if name != inside)
        return Layout(inside, tuple(_names(listing.folders, f"{inside}/")), beside)
    return Layout("", tuple(top))


def find_parts(listing: Listing, layout: Layout) -> tuple[str, ...]:
    """Class folders that are parts of a data set (train, test) instead of classes.

    A folder of a part's name is one where class folders lie in it, and where another
    folder beside it has a part's name too: "test" and "train" are no two cell types.
    """
    named = [name for name in layout.classes if _PART.fullmatch(name)]
    if len(named) >= 2:
        return tuple(named)
    holding = _holding(listing)
    prefix = f"{layout.inside}/" if layout.inside else ""
    return tuple(name for name in named if _wraps(prefix + name, listing, holding))


def find_twins(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that are one name to people: equal but for case, spaces, form.

    Names are compared in Unicode's form NFC, without spaces around them and with no
    regard to case.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        composed = unicodedata.normalize("NFC", name)
        key = unicodedata.normalize("NFC", " ".join(composed.split()).casefold())
        groups[key].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def shown_apart(names: Iterable[str]) -> str:
    """Names in quotes; with escapes where they would look the same."""
    names = list(names)
    composed = {unicodedata.normalize("NFC", name) for name in names}
    show = repr if len(composed) == len(names) else ascii
    return " and ".join(map(show, names))


def _names(folders: Iterable[str], prefix: str) -> list[str]:
    """Names of the folders that lie directly below `prefix`, sorted."""
    below = (path[len(prefix) :] for path in folders if path.startswith(prefix))
    return sorted(name for name in below if name and "/" not in name)


def _holding(listing: Listing) -> set[str]:
    """Folders with an image somewhere below them, of whatever format."""
    paths = [path for path, _ in listing.images]
    paths += [e.path for e in listing.passed_over if e.kind == "other_format"]
    holding: set[str] = set()
    for path in paths:
        while (path := path.rpartition("/")[0]) and path not in holding:
            holding.add(path)
    return holding


def _wraps(folder: str, listing: Listing, holding: set[str]) -> bool:
    """Whether a folder holds folders that look like classes, and no image itself."""
    names = _names(listing.folders, f"{folder}/")
    names = [name for name in names if f"{folder}/{name}" in holding] or names
    direct = [path for path, _ in listing.images]
    direct += [e.path for e in listing.passed_over if e.kind == "other_format"]
    return (
        bool(names)
        and not any(_NUMBER_RANGE.fullmatch(name) for name in names)
        and not any(path.rpartition("/")[0] == folder for path in direct)
    )
