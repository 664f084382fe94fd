import fcntl
import os
import signal
import subprocess
import sys

import pytest

from dunwu.errors import RunError
from dunwu.runs.lock import FolderLock, is_locked


def test_a_second_lock_names_the_holder_until_it_is_released(tmp_path):
    first = FolderLock(tmp_path)
    with pytest.raises(RunError, match=rf"is being written by process {os.getpid()} on .*--run-dir"):
        FolderLock(tmp_path)
    first.release()
    first.release()
    FolderLock(tmp_path).release()


def test_a_killed_holder_frees_the_lock_though_its_forked_worker_lives(tmp_path):
    code = (
        "import os, sys, time, pathlib\n"
        "from dunwu.runs.lock import FolderLock\n"
        "lock = FolderLock(pathlib.Path(sys.argv[1]))\n"
        "if os.fork() == 0: print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    worker = int(holder.stdout.readline())
    try:
        with pytest.raises(RunError, match=f"process {holder.pid}"):
            FolderLock(tmp_path)
        holder.kill()
        holder.wait()
        FolderLock(tmp_path).release()
        os.kill(worker, 0)
    finally:
        os.kill(worker, signal.SIGKILL)
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_one_who_only_looks_is_waited_for(tmp_path, monkeypatch):
    FolderLock(tmp_path).release()
    observer = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(observer, fcntl.LOCK_SH)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        fcntl.flock(observer, fcntl.LOCK_UN)

    monkeypatch.setattr("dunwu.runs.lock.time.sleep", sleep)
    FolderLock(tmp_path).release()
    assert len(waits) == 1
    os.close(observer)


def test_whether_it_is_held_can_be_asked_without_disturbing(tmp_path):
    assert not is_locked(tmp_path)
    lock = FolderLock(tmp_path)
    assert is_locked(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)
