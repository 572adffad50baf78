"""Where compiled programs are kept. They are run as they are, so nobody else may write.

Whoever can put a file there has it executed by this user at the next start.
"""

import os
import stat
from pathlib import Path

from bmjax.files import describe_os_error

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_WITHOUT = "programs are compiled anew at each start"


def find_cache(asked: str | None) -> tuple[str | None, str]:
    """Find the folder for compiled programs, and make it.

    Args:
        asked: what jax was told; None: $XDG_CACHE_HOME/bmjax, or ~/.cache/bmjax.

    Returns:
        the folder, or None where there is none to be trusted, and a sentence that says
        why, or "".
    """
    if asked and "://" in asked:  # a bucket, whose owner has its own rules
        return asked, ""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(asked) if asked else Path(home) / "bmjax"
    except RuntimeError:
        return None, f"no home folder is known to keep compiled programs in; {_WITHOUT}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        return None, (
            f"compiled programs cannot be kept in {str(folder)!r} "
            f"({describe_os_error(error)}); {_WITHOUT}; set XDG_CACHE_HOME to a folder "
            "that can be written"
        )
    if status.st_uid != os.geteuid():
        return None, (
            f"the folder of compiled programs {str(folder)!r} belongs to another user "
            f"and is not used; {_WITHOUT}; set XDG_CACHE_HOME to a folder of your own"
        )
    if status.st_mode & _OTHERS:
        return None, (
            f"the folder of compiled programs {str(folder)!r} can be written by others "
            f"and is not used; {_WITHOUT}; remove it, and it is made for you alone"
        )
    return str(folder), ""
