"""Opening refuses, with what to install or allow, wherever nothing isolates; and says what isolates where something does."""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from dunwu.config.sandbox import BubblewrapSandbox, DockerSandbox, HttpSandbox, SandboxConfig, UnsafeSandbox
from dunwu.errors import ConfigError, DependencyError
from dunwu.sandbox import filters
from dunwu.sandbox import open as opening
from dunwu.sandbox.bubblewrap import BubblewrapExecutor
from dunwu.sandbox.cgroups import Hierarchy
from dunwu.sandbox.open import advise, describe_layers, open_executor
from dunwu.sandbox.unsafe import UnsafeExecutor

from .conftest import LIMITS, blueprint, needs_bubblewrap


def test_kinds_are_told_apart_and_unknown_keys_refused():
    adapter = TypeAdapter(SandboxConfig)
    for kind, cls in (
        ("bubblewrap", BubblewrapSandbox),
        ("docker", DockerSandbox),
        ("unsafe", UnsafeSandbox),
    ):
        assert type(adapter.validate_python({"kind": kind})) is cls
    assert adapter.validate_python({"kind": "http", "url": "http://x"}) == HttpSandbox(url="http://x")
    for wrong in (
        {"kind": "none"},
        {"kind": "bubblewrap", "network": True},
        {"kind": "http"},
        {"kind": "unsafe", "max_parallel": 0},
    ):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


@needs_bubblewrap
def test_bubblewrap_says_which_layers_are_active(caplog):
    caplog.set_level(logging.INFO)
    with open_executor(BubblewrapSandbox(max_parallel=1)) as executor:
        assert isinstance(executor, BubblewrapExecutor)
        layers = executor.describe()
    assert layers["sandbox"] == "bubblewrap"
    assert layers["system calls"] == "filtered"
    for name, what in layers.items():
        assert f"{name}: {what}" in caplog.text


@needs_bubblewrap
def test_what_is_missing_is_said_too():
    layers = describe_layers(blueprint(nested=False), ())
    assert "no control group" in layers["memory"]
    assert layers["processes"] == "rlimit"
    assert "slow each other down" in layers["processor"]
    assert layers["start"].startswith("a jail")
    groups = (Hierarchy(Path("/x"), 2, frozenset({"memory", "pids", "cpu"})),)
    layers = describe_layers(blueprint(), groups)
    assert layers["memory"] == layers["processor"] == "control groups v2"
    assert layers["processes"] == "rlimit, control groups v2"


def test_without_bubblewrap_its_package_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(
        DependencyError, match=r"apt install bubblewrap.*dnf install bubblewrap.*pacman -S bubblewrap"
    ):
        open_executor(BubblewrapSandbox())


def fake_program(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def public_folder():
    """A folder that everyone may enter, as those of programs are."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_bubblewrap_that_the_kernel_stops_is_no_sandbox(monkeypatch, public_folder):
    fake = fake_program(
        public_folder, "bwrap", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1"
    )
    monkeypatch.setattr(shutil, "which", lambda _: fake)
    with pytest.raises(DependencyError, match=r"No permissions to create new namespace; .*user namespaces"):
        open_executor(BubblewrapSandbox())


FAKE = """
while [ "$1" != -- ]; do
  [ "$1" = --setenv ] && export "$2=$3"
  shift
done
shift
exec "$@"
"""


def test_a_bubblewrap_that_does_not_isolate_is_no_sandbox(monkeypatch, public_folder):
    """A program of that name that just runs what it is given: without namespaces, the keeper cannot make any either, and with
    a jail for each program, the probe gets out."""
    fake = fake_program(public_folder, "bwrap", FAKE)
    monkeypatch.setattr(shutil, "which", lambda _: fake)
    with pytest.raises(DependencyError, match=r"does not isolate|cannot run Python"):
        open_executor(BubblewrapSandbox(python="/usr/bin/python3"))


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("apparmor", "1", "/etc/apparmor.d"),
        ("max_user_namespaces", "0", "user.max_user_namespaces=10000"),
        ("unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("", "", "in a container"),
    ],
)
def test_advice_follows_the_machines_settings(monkeypatch, tmp_path, name, value, advice):
    for setting, forbidding in opening._FORBIDDING.items():
        place = tmp_path / setting.replace(".", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{value if name and name in setting else 1 - int(forbidding)}\n")
    monkeypatch.setattr(opening, "_SETTINGS", tmp_path)
    assert advice in advise()


@needs_bubblewrap
def test_a_missing_filter_library_refuses_unless_it_is_given_up(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    filters.compile_filter.cache_clear()
    try:
        with pytest.raises(DependencyError, match="libseccomp"):
            open_executor(BubblewrapSandbox())
        with open_executor(BubblewrapSandbox(max_parallel=1, require_seccomp=False)) as executor:
            assert executor.describe()["system calls"] == "NOT FILTERED"
            assert executor.run_python("print(6 * 7)", b"", {}, LIMITS).stdout == b"42\n"
        assert "WITHOUT a system call filter" in caplog.text
    finally:
        filters.compile_filter.cache_clear()


@needs_bubblewrap
@pytest.mark.parametrize("python", ["/no/such/python", "/usr/bin/true"])
def test_an_interpreter_that_does_not_run_is_told(python):
    with pytest.raises(ConfigError, match=f"sandbox.python: {python}"):
        open_executor(BubblewrapSandbox(python=python)).close()


def test_unsafe_is_opened_only_when_named(caplog):
    with open_executor(UnsafeSandbox(max_parallel=1)) as executor:
        assert isinstance(executor, UnsafeExecutor)
    assert "UNSAFE" in caplog.text


def test_docker_without_its_client_is_refused():
    with pytest.raises(DependencyError, match=r"no-such-client is not installed.*bubblewrap"):
        open_executor(DockerSandbox(program="no-such-client"))


def test_docker_without_an_engine_is_refused(tmp_path):
    client = fake_program(tmp_path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(
        DependencyError,
        match=r"no engine answers.*Cannot connect to the Docker daemon.*systemctl start docker",
    ):
        open_executor(DockerSandbox(program=client))


def test_docker_without_the_image_is_refused(tmp_path):
    client = fake_program(tmp_path, "docker", '[ "$1" = version ] && echo 27.0')
    with pytest.raises(DependencyError, match=r"image some/image.*is not there.*pull some/image"):
        open_executor(DockerSandbox(program=client, image="some/image"))


def test_an_http_sandbox_that_does_not_answer_is_refused():
    with pytest.raises(DependencyError, match=r"sandbox.url.*does not answer.*start Piston"):
        open_executor(HttpSandbox(url="http://127.0.0.1:9/api/v2"))


def test_a_docker_whose_containers_do_not_start_is_refused(tmp_path):
    client = fake_program(
        tmp_path, "docker", 'case "$1" in version|image) exit 0;; *) echo broken >&2; exit 125;; esac'
    )
    with pytest.raises(DependencyError, match="programs cannot be isolated: the sandbox broke down: broken"):
        open_executor(DockerSandbox(program=client))
