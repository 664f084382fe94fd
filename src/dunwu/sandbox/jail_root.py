"""What a program sees of this machine inside bubblewrap: the arguments that build its root."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.errors import ConfigError

PRIVATE_FOLDERS = ("/work", "/tmp", "/dev/shm")
_SYSTEM = ("/usr",)
_LINKED = (
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
)  # links into /usr, or folders on older systems
_SETTINGS = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_ASK_INTERPRETER = """
import os, site, sys
print(sys.version_info >= (3, 9), *filter(os.path.isdir, map(os.path.realpath, site.getsitepackages())), sep="\\n")
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter, the folder that it needs beside /usr, if any, and where packages are installed for it."""

    program: str
    prefix: str | None
    site_packages: tuple[str, ...]


def find_interpreter(config: BubblewrapSandbox) -> Interpreter:
    """Return the interpreter that runs Python programs: never a virtual environment's, but the one it was made from.

    Raises:
        ConfigError: the configured program does not exist or does not run, or lies where programs cannot see it.
    """
    if config.python is None:
        program, prefix = os.path.realpath(sys._base_executable), sys.base_prefix  # type: ignore[attr-defined]
    else:
        program = os.path.realpath(config.python)
        prefix = str(Path(program).parents[1])
        if not os.access(program, os.X_OK):
            raise ConfigError(
                f'sandbox.python: {config.python} is no program; name an interpreter such as "/usr/bin/python3"'
            )
    site_packages = _find_site_packages(program)
    if Path(program).is_relative_to("/usr"):
        return Interpreter(program, None, site_packages)
    prefix = os.path.realpath(prefix)
    _check_visible(prefix, f"the interpreter {program}", 'name another: sandbox.python = "/usr/bin/python3"')
    return Interpreter(program, prefix, site_packages)


def check_paths(config: BubblewrapSandbox) -> None:
    """Make sure that what programs are to see is there, and not where they have folders of their own.

    Raises:
        ConfigError: a path is not absolute, does not exist, or would be hidden.
    """
    for key in ("python_path", "read_only_paths"):
        for path in getattr(config, key):
            if not os.path.isabs(path) or not os.path.exists(path):
                raise ConfigError(
                    f"sandbox.{key}: {path} does not exist or is not absolute; name what is there"
                )
            _check_visible(path, f"sandbox.{key}: {path}", "move it, or copy it to another place")


def _check_visible(path: str, name: str, advice: str) -> None:
    for private in PRIVATE_FOLDERS:
        if Path(path).is_relative_to(private):
            raise ConfigError(
                f"{name} lies in {private}, where every program has a folder of its own; {advice}"
            )


def _find_site_packages(program: str) -> tuple[str, ...]:
    """Ask an interpreter where packages are installed for it.

    Raises:
        ConfigError: it does not answer, or is too old for the keeper.
    """
    try:
        done = subprocess.run(
            [program, "-I", "-c", _ASK_INTERPRETER], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"sandbox.python: {program} does not run: {error}") from error
    recent, *folders = done.stdout.splitlines() or [""]
    if recent != "True":
        raise ConfigError(f"sandbox.python: {program} is not Python 3.9 or newer; name one that is")
    return tuple(folders)


def root_arguments(bound: dict[str, str], emptied: tuple[str, ...], disk_bytes: int | None) -> list[str]:
    """Return bubblewrap's arguments for a root that holds programs, libraries and `bound`, all read-only, and nothing else.

    Args:
        bound: path of this machine -> path in the sandbox.
        emptied: folders below those that are to look empty.
        disk_bytes: size of each private folder; None where the keeper makes them itself for each run.
    """
    arguments = []
    for path in _SYSTEM:
        arguments += ["--ro-bind", path, path]
    for path in _LINKED:
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            arguments += ["--ro-bind", path, path]
    for path in _SETTINGS:
        arguments += ["--ro-bind-try", path, path]
    for source, target in bound.items():
        arguments += ["--ro-bind", source, target]
    for path in emptied:
        arguments += ["--perms", "0555", "--size", "4096", "--tmpfs", path, "--remount-ro", path]
    arguments += ["--dir", "/mnt", "--proc", "/proc", "--tmpfs", "/dev"]
    for path in _DEVICES:
        arguments += ["--dev-bind", path, path]
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        arguments += ["--symlink", f"/proc/self/fd{target}", f"/dev/{name}"]
    for path in PRIVATE_FOLDERS:
        if disk_bytes is None:
            arguments += ["--dir", path]
        else:
            arguments += ["--perms", "0755", "--size", str(disk_bytes), "--tmpfs", path]
    return [*arguments, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


def is_open_to_all(path: str) -> bool:
    """Whether a user without any rights may read the folder or file."""
    place = Path(path)
    if not place.stat().st_mode & 0o004:
        return False
    return all(parent.stat().st_mode & 0o001 for parent in (place, *place.parents) if parent.is_dir())


_STAGE = """
mount -t tmpfs -o size=64k,mode=755 dunwu /mnt
number=0
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir "/mnt/$number"; else : > "/mnt/$number"; fi
  mount --rbind "$1" "/mnt/$number"
  number=$((number + 1))
  shift
done
shift
exec "$@"
"""


def staged(paths: list[str], command: list[str]) -> list[str]:
    """Return a command that shows `paths`, which only root may reach, as /mnt/0, /mnt/1, ... to `command`, in a mount namespace
    of its own. To be run by root."""
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--",
        "/bin/sh",
        "-ec",
        _STAGE,
        "sh",
        *paths,
        "--",
        *command,
    ]


def as_user(user: int, command: list[str]) -> list[str]:
    """Return a command that runs `command` with the rights of a user that nothing belongs to. To be run by root."""
    return ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "--", *command]
