"""Builds the loops in C for this machine's CPU, once, and loads them.

They are compiled by the machine's own C compiler into a cache ($DUNWU_CACHE, or ~/.cache/dunwu), for exactly this processor;
another processor, compiler or source makes another file. They use the threads of torch. Where there is no compiler, or
DUNWU_KERNELS=off asks for it, `library` is None, and torch's own operations do the same work, slower; `explain` says which it is
and why.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from dunwu.config.cache import cache_root
from dunwu.config.processor import cpu_fields
from dunwu.errors import ConfigError, DunwuWarning

SOURCES = Path(__file__).parent / "c"
SWITCH = "DUNWU_KERNELS"
_COMPILERS = ("gcc", "clang", "cc")
_FLAGS = (
    "-O3", "-march=native", "-std=gnu11", "-fPIC", "-fopenmp", "-Wall",
    # sums may be added in another order; NaN and infinity mean what they mean
    "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math", "-freciprocal-math",
)  # fmt: skip
_FLAGS_OF_X86 = ("-mprefer-vector-width=256",)  # gcc prefers 128 bits for some
_OF_A_PROCESSOR = frozenset({"vendor_id", "cpu family", "model", "flags", "CPU part", "Features"})
_SECONDS = 300.0


class _MissingError(Exception):
    """There can be no kernels here, and why."""


def library() -> ctypes.CDLL | None:
    """The kernels, built when first asked for; None where there are none."""
    return _load()[0]


def explain() -> str:
    """Where the kernels come from, or why there are none and what helps."""
    return _load()[1]


@functools.cache
def warn_where_missing() -> None:
    """Warn, once, where kernels could be and are not."""
    if library() is None and os.environ.get(SWITCH) != "off" and platform.system() == "Linux":
        warnings.warn(
            f"this CPU computes without dunwu's kernels, more slowly: {explain()}", DunwuWarning, stacklevel=2
        )


@functools.cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    wanted = os.environ.get(SWITCH, "auto")
    if wanted not in ("auto", "off"):
        raise ConfigError(f"{SWITCH} is {wanted!r}; it must be auto or off")
    if wanted == "off":
        return None, f"switched off by {SWITCH}=off"
    try:
        path = _built()
        return ctypes.CDLL(str(path)), str(path)
    except (_MissingError, OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)


def cache_folder() -> Path:
    """Where what was built is kept."""
    return cache_root() / "kernels"


def _built() -> Path:
    """The library's file, compiled if it is not there yet; another process may do the same at the same time.

    Raises:
        _MissingError: it cannot be compiled here.
        OSError: the cache cannot be written.
    """
    if platform.system() != "Linux":
        raise _MissingError(f"they are built on Linux alone, and this is {platform.system()}")
    compiler = next((path for name in _COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        raise _MissingError(
            "there is no C compiler; install gcc (Debian, Ubuntu: sudo apt install gcc libc6-dev)"
        )
    runtime = _openmp_of_torch()
    target = cache_folder() / f"{_fingerprint(compiler, runtime)}.so"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        options = ["-lm"]
        if runtime is not None:  # the compiler would else bring a second set of threads
            (folder / "libgomp.so").symlink_to(runtime)
            options += [f"-L{folder}", f"-Wl,-rpath,{runtime.parent}"]
        sources = sorted(SOURCES.glob("*.c"))
        objects = [folder / f"{source.stem}.o" for source in sources]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            steps = [
                [*_flags(), "-c", source, "-o", made] for source, made in zip(sources, objects, strict=True)
            ]
            for _ in pool.map(lambda step: _compile(compiler, step), steps):
                pass
        _compile(compiler, [*_flags(), "-shared", *objects, *options, "-o", folder / "kernels.so"])
        os.replace(folder / "kernels.so", target)
    return target


def _compile(compiler: str, arguments: Sequence[str | Path]) -> None:
    """Raises _MissingError: it fails."""
    command = [compiler, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    if done.returncode != 0:
        raise _MissingError(f"{compiler} does not compile them: {done.stderr.strip()[-2000:]}")


def _flags() -> tuple[str, ...]:
    return _FLAGS + (_FLAGS_OF_X86 if platform.machine() == "x86_64" else ())


def _openmp_of_torch() -> Path | None:
    """The OpenMP library that torch brought, so that both use one set of threads; None where it brought none of gcc's."""
    return next(iter(sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))), None)


def _fingerprint(compiler: str, runtime: Path | None) -> str:
    """Changes with everything that the library depends on."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=_SECONDS).stdout
    parts = [version, *_flags(), str(runtime), torch.__version__, platform.machine()]
    parts += sorted({f"{key}={value}" for key, value in cpu_fields() if key in _OF_A_PROCESSOR})
    digest = hashlib.sha256("\n".join(parts).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]
