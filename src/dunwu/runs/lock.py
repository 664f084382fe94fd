"""One writer per run folder. The lock dies with its process, so a killed run never has to be unlocked by
hand."""

import fcntl
import os
import socket
import time
from pathlib import Path

from dunwu.errors import RunError

LOCK_NAME = ".lock"
_ATTEMPTS, _PAUSE_SECONDS = 5, 0.02


class FolderLock:
    """Holds the exclusive lock on `folder` from construction until `release`.

    Raises:
        RunError: another process holds it; the message names that process.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        if not self._try(self._descriptor):
            owner = (
                os.pread(self._descriptor, 200, 0).decode(errors="replace").strip() or "an unknown process"
            )
            self._close()
            raise RunError(
                f"{folder} is being written by {owner}; wait until it ends or stop it, or choose another "
                "--run-dir"
            )
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        # A forked worker that outlives a killed run must not go on holding the run's lock.
        os.register_at_fork(after_in_child=self._close)

    @staticmethod
    def _try(descriptor: int) -> bool:
        """Take the lock; an observer who holds it for an instant (`is_locked`) is waited for."""
        for attempt in range(_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError:
                if attempt + 1 < _ATTEMPTS:
                    time.sleep(_PAUSE_SECONDS)
        return False

    def release(self) -> None:
        """Let others write the folder."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_locked(folder: Path) -> bool:
    """Whether a process writes the folder now; asks by taking the lock for an instant, shared with others who ask."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
