"""Whether a process may have as many files open as a run needs."""

import contextlib
import resource

from bmjax.errors import ConfigError

# Ours, measured: 26 at most without worker processes, below 24 none can be; 79 with two
# of them and 119 with four.
_ALONE, _EACH = 32, 28


def check_file_limit(*, workers: int) -> None:
    """Raise ConfigError where a run would meet the limit on open files.

    The limit is raised first, as far as this process may.

    Args:
        workers: config.data.workers.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _ALONE + _EACH * workers
    if not 0 <= soft < needed:  # below 0: there is no limit
        return
    if not 0 <= hard < needed:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
            return
    other = ", or use config.data.workers=0" if workers else ""
    raise ConfigError(
        f"config.data.workers = {workers} takes up to {needed} open files, and this "
        f"process may have {soft}; raise the limit (ulimit -n {needed}){other}"
    )
