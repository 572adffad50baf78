"""Parameters that are never trained, apart from those that are.

A frozen parameter has no gradient and no place in the optimizer's state: it costs its
own size and nothing more.
"""

from collections.abc import Collection

from bmjax.types import Tree


def split_frozen(params: Tree, frozen: Collection[str]) -> tuple[Tree, Tree]:
    """Return the trained and the frozen parameters as two nested dicts.

    Args:
        params: nested dict of arrays.
        frozen: names below which nothing is trained, as "network.backbone".

    Raises:
        ValueError: a name is none of these parameters'.
    """
    paths = {tuple(name.split(".")) for name in frozen}
    trained, held = _split(params, paths)
    if paths:
        missing = sorted(".".join(path) for path in paths)
        raise ValueError(f"a method freezes {missing}, which are no parameters of it")
    return trained, held


def join_frozen(trained: Tree, frozen: Tree) -> Tree:
    """Return the one nested dict that `split_frozen` was given."""
    joined = dict(trained)
    for name, value in frozen.items():
        if name in joined:
            joined[name] = join_frozen(joined[name], value)
        else:
            joined[name] = value
    return joined


def _split(params: Tree, paths: set[tuple[str, ...]]) -> tuple[Tree, Tree]:
    """Split, and take the names that were met out of `paths`."""
    trained, held = {}, {}
    for name, value in params.items():
        if (name,) in paths:
            paths.remove((name,))
            held[name] = value
            continue
        below = {path[1:] for path in paths if path[0] == name}
        if not below or not isinstance(value, dict):
            trained[name] = value
            continue
        paths -= {(name, *path) for path in below}
        trained[name], inner = _split(value, below)
        paths |= {(name, *path) for path in below}
        if inner:
            held[name] = inner
    return trained, held
