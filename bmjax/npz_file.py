"""Arrays of a .npz file that somebody else may have written."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bmjax.files import describe_os_error, open_regular

_MOST = 2**30  # bytes that the arrays unpack to; ours


def read_npz(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read some arrays of a file, none of them of objects, which would be code.

    Args:
        path: the file.
        names: of the arrays.

    Raises:
        ValueError: it cannot be read, is damaged, lacks an array or holds objects in
            it, or unpacks to gigabytes.
    """
    try:
        with open_regular(path) as file:
            with zipfile.ZipFile(file) as archive:
                size = sum(about.file_size for about in archive.infolist())
            if size > _MOST:
                raise ValueError(
                    f"it unpacks to {size:,} bytes, and {_MOST:,} are the most"
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in names}
    except OSError as error:
        why = describe_os_error(error)
    except KeyError as error:
        why = f"it lacks {error}"
    except (EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        why = str(error) or "it is cut off"
    except (MemoryError, RuntimeError) as error:  # a header that is none; a password
        why = str(error) or "an array that does not fit the memory"
    raise ValueError(why)
