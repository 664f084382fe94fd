"""The kernels are built once, for this machine; where they cannot be, it is said why, and nothing fails."""

import multiprocessing
import os
import shutil
import stat
import subprocess
import sys

import pytest
import torch

from dunwu.errors import ConfigError, DunwuWarning
from dunwu.kernels import build
from dunwu.kernels.call import call

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, build._COMPILERS)), reason="there is no C compiler on this machine"
)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache, and a process that has not loaded anything yet."""
    monkeypatch.setenv("DUNWU_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(build.SWITCH, raising=False)
    build._load.cache_clear()
    build.warn_where_missing.cache_clear()
    yield tmp_path
    build._load.cache_clear()
    build.warn_where_missing.cache_clear()


def built():
    return sorted(path.name for path in build.cache_folder().iterdir())


@needs_compiler
def test_they_are_built_once_and_work(fresh):
    kernels = build.library()
    assert kernels is not None, build.explain()
    (name,) = built()
    before = (build.cache_folder() / name).stat().st_mtime_ns
    build._load.cache_clear()
    assert build.library() is not None
    assert built() == [name]
    assert (build.cache_folder() / name).stat().st_mtime_ns == before
    assert build.explain() == str(build.cache_folder() / name)
    rows = torch.tensor([[3.0, 4.0]])
    normed = torch.empty_like(rows)
    call(
        kernels, "add_rms_norm", rows, None, torch.tensor([1.0, 2.0]), normed, 1, 2, 0.0, dtype=torch.float32
    )
    assert torch.allclose(normed, torch.tensor([[3.0, 8.0]]) / 12.5**0.5)


def test_they_can_be_switched_off_and_nothing_else_is_taken_for_that(fresh, monkeypatch):
    monkeypatch.setenv(build.SWITCH, "off")
    assert build.library() is None
    assert "DUNWU_KERNELS=off" in build.explain()
    build.warn_where_missing()  # who switches them off knows it
    build._load.cache_clear()
    monkeypatch.setenv(build.SWITCH, "no")
    with pytest.raises(ConfigError, match="DUNWU_KERNELS is 'no'; it must be auto or off"):
        build.library()
    assert not build.cache_folder().exists()


def test_without_a_compiler_there_are_none_and_it_is_said_what_to_install(fresh, monkeypatch):
    monkeypatch.setenv("PATH", str(fresh))
    assert build.library() is None
    assert "no C compiler; install gcc" in build.explain()
    with pytest.warns(DunwuWarning, match=r"without dunwu's kernels, more slowly: .*install gcc"):
        build.warn_where_missing()
    build.warn_where_missing()  # once


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(fresh, monkeypatch):
    (fresh / "bin").mkdir()
    broken = fresh / "bin" / "gcc"
    broken.write_text("#!/bin/sh\n[ $1 = --version ] && exit 0\necho 'stdint.h: No such file' >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{fresh / 'bin'}:{os.environ['PATH']}")
    assert build.library() is None
    assert "does not compile them: stdint.h: No such file" in build.explain()
    assert built() == []


@needs_compiler
def test_a_cache_that_cannot_be_written_is_said(fresh, monkeypatch):
    (fresh / "file").write_text("")
    monkeypatch.setenv("DUNWU_CACHE", str(fresh / "file"))
    assert build.library() is None
    assert "Not a directory" in build.explain()


@needs_compiler
def test_another_processor_compiler_or_source_makes_another_file(monkeypatch, tmp_path):
    compiler = next(filter(None, map(shutil.which, build._COMPILERS)))
    names = {build._fingerprint(compiler, None)}
    assert names == {build._fingerprint(compiler, None)}
    names.add(build._fingerprint(compiler, tmp_path / "libgomp.so"))
    with monkeypatch.context() as patch:
        patch.setattr(build, "cpu_fields", lambda: [("flags", "fpu sse9"), ("cpu MHz", "1")])
        names.add(build._fingerprint(compiler, None))
    with monkeypatch.context() as patch:
        patch.setattr(build, "cpu_fields", lambda: [("flags", "fpu sse9"), ("cpu MHz", "2")])
        names.add(build._fingerprint(compiler, None))  # its clock is not what a processor is
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.c").write_text("int a;")
    monkeypatch.setattr(build, "SOURCES", tmp_path / "c")
    names.add(build._fingerprint(compiler, None))
    assert len(names) == 4


def build_alone(_):
    return build.library() is not None


@needs_compiler
def test_processes_that_build_at_the_same_time_do_not_disturb_each_other(fresh):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(build_alone, range(2), chunksize=1) == [True] * 2
    assert len(built()) == 1


@needs_compiler
def test_they_share_torch_s_threads(fresh):
    """One OpenMP runtime in the process, whichever torch brought."""
    code = (
        "import torch; from dunwu.kernels.build import library; assert library() is not None;"
        "print(len({line.split()[-1] for line in open('/proc/self/maps') if 'gomp' in line}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
