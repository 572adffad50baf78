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
    paths = [tuple(name.split(".")) for name in frozen]
    if missing := sorted(".".join(path) for path in paths if not _has(params, path)):
        raise ValueError(f"a method freezes {missing}, which are no parameters of it")
    return _split(params, paths)


def join_frozen(trained: Tree, frozen: Tree) -> Tree:
    """Return the one nested dict that `split_frozen` was given."""
    joined = dict(trained)
    for name, value in frozen.items():
        if name in joined:
            joined[name] = join_frozen(joined[name], value)
        else:
            joined[name] = value
    return joined


def _has(params: Tree, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(params, dict) or name not in params:
            return False
        params = params[name]
    return True


def _split(params: Tree, paths: Collection[tuple[str, ...]]) -> tuple[Tree, Tree]:
    trained, frozen = {}, {}
    for name, value in params.items():
        below = [path[1:] for path in paths if path[0] == name]
        if () in below:
            frozen[name] = value
        elif below:
            trained[name], frozen[name] = _split(value, below)
        else:
            trained[name] = value
    return trained, frozen
