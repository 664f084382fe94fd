"""One writer per run folder. The lock dies with its process, so a killed run never has to be unlocked by
hand."""

import fcntl
import os
import socket
from pathlib import Path

from dunwu.errors import RunError

LOCK_NAME = ".lock"


class FolderLock:
    """Holds the exclusive lock on `folder` from construction until `release`.

    Raises:
        RunError: another process holds it; the message names that process.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = (
                os.pread(self._descriptor, 200, 0).decode(errors="replace").strip() or "an unknown process"
            )
            self._close()
            raise RunError(
                f"{folder} is being written by {owner}; wait until it ends or stop it, or choose another "
                "--run-dir"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        # A forked worker that outlives a killed run must not go on holding the run's lock.
        os.register_at_fork(after_in_child=self._close)

    def release(self) -> None:
        """Let others write the folder."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
