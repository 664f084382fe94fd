"""One error for a disk that is full, read-only or closed to us, whoever wrote there. Called by the other modules of runs/, and by
whoever writes into a run folder.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dunwu.errors import DiskError, DunwuError

_MEGABYTE = 1_000_000
_LIBRARY_FAULT = re.compile(r"inline_container\.cc|\(os error \d+\)")
"""How torch and safetensors tell, in errors that are no OSError, that a file could not be written."""


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn what writing at `path` raises when the disk does not take it into one error.

    Raises:
        DiskError: says what could not be written, why, how much space is left there and what to do.
    """
    try:
        yield
    except DunwuError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not _LIBRARY_FAULT.search(str(error)):
            raise
        raise DiskError(
            f"{path} cannot be written: {_reason(error)}; {_space_left(path)}. Make room there, or make it writable, and the "
            "same command goes on where it stopped; or give another place"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"the disk did not take all of it ({error})"


def _space_left(path: Path) -> str:
    """Say how much space is left on the disk of the nearest folder above that is there."""
    place = next((folder for folder in path.absolute().parents if os.path.isdir(folder)), Path("/"))
    return f"{shutil.disk_usage(place).free / _MEGABYTE:,.1f} MB are left on the disk of {place}"
