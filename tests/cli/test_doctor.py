import builtins
import importlib.metadata
import os
import shutil
import types

import psutil
import pytest

from dunwu.cli import doctor


def found(look, *arguments):
    return {check.name: check for check in look(*arguments)}


def test_every_check_says_something_and_advises_when_not_ok(invoke):
    result = invoke("doctor")
    assert result.exit_code == 0, result.stdout
    for look in doctor.CHECKS:
        for check in look():
            assert check.detail
            if check.status == "missing":
                assert check.advice
    for name in (
        "python",
        "torch",
        "threads",
        "memory",
        "reasoning-gym",
        "smollm2",
        "bubblewrap",
        "cache folder",
    ):
        assert name in result.stdout


def test_something_that_every_run_needs_and_is_missing_gives_exit_code_1(invoke, monkeypatch):
    def look():
        yield doctor.Check("torch", "missing", "gone [red]", "pip install torch")

    monkeypatch.setattr(doctor, "CHECKS", (look,))
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "gone [red]" in result.stdout


def test_a_torch_that_cannot_be_imported_is_missing(monkeypatch):
    real = builtins.__import__

    def fail(name, *arguments, **options):
        if name == "torch":
            raise OSError("libcudart.so.12: cannot open shared object file\nmore")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", fail)
    check = found(doctor.check_torch)["torch"]
    assert (check.status, check.advice) == ("missing", "pip install torch")
    assert check.detail == "libcudart.so.12: cannot open shared object file"


def test_threads_kept_low_by_the_environment_are_told(monkeypatch):
    import torch

    monkeypatch.setattr(doctor, "usable_cores", lambda: 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    check = found(doctor.check_torch)["threads"]
    assert check.status == "optional"
    assert "OMP_NUM_THREADS=2 keeps cores idle" in check.advice
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert found(doctor.check_torch)["threads"].status == "ok"


def test_cuda_devices_are_named(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    device = types.SimpleNamespace(name="H100", total_memory=80e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: device)
    assert found(doctor.check_torch)["cuda:0"].detail == "H100, 80.0 GB"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert found(doctor.check_torch)["cuda"].status == "optional"


@pytest.mark.parametrize(
    ("text", "detail", "advised"),
    [
        (
            "model name : Zen 4\nflags : fpu avx2 avx512f avx512_bf16\n",
            "Zen 4 (avx2, avx512_bf16, avx512f)",
            False,
        ),
        ("model name : Old\nflags : fpu avx2\n", "Old (avx2)", True),
        ("Features : asimd bf16\n", "bf16", False),
        ("", "no vector extensions found", True),
    ],
)
def test_processor_features_are_read(tmp_path, text, detail, advised):
    (tmp_path / "cpuinfo").write_text(text)
    (check,) = doctor.check_cpu(tmp_path / "cpuinfo")
    assert detail in check.detail
    assert ("float32" in check.advice) == advised


def test_a_machine_without_cpuinfo_still_has_a_processor(tmp_path):
    (check,) = doctor.check_cpu(tmp_path / "absent")
    assert check.status == "ok"
    assert check.detail


def test_little_memory_and_disk_are_told(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=1e9, total=4e9))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1e9))
    checks = found(doctor.check_memory)
    assert (checks["memory"].status, checks["disk"].status) == ("optional", "optional")
    assert checks["memory"].detail == "1.0 GB free of 4.0 GB"


@pytest.mark.parametrize(("load", "status"), [(0.2, "ok"), (7.5, "optional")])
def test_busy_cores_are_told(monkeypatch, load, status):
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0))
    monkeypatch.setattr(doctor, "usable_cores", lambda: 2)
    (check,) = doctor.check_load()
    assert check.status == status
    assert ("OMP_NUM_THREADS" in check.advice) == (status == "optional")


def test_a_missing_package_names_its_extra(monkeypatch):
    def version(name):
        if name == "datasets":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    checks = found(doctor.check_packages)
    assert (checks["datasets"].status, checks["datasets"].advice) == (
        "optional",
        'pip install "dunwu[tasks]"',
    )
    assert checks["gguf"].status == "ok"


def test_models_and_their_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DUNWU_CACHE", str(tmp_path / "new" / "cache"))
    checks = found(doctor.check_models)
    assert checks["micro"].status == "ok"
    assert (checks["smollm2"].status, checks["smollm2"].detail) == ("optional", "not fetched yet")
    assert checks["cache folder"].status == "ok"
    folder = tmp_path / "new" / "cache" / "models" / "smollm2"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert found(doctor.check_models)["smollm2"].status == "ok"


def test_a_cache_that_cannot_be_written_is_told(monkeypatch):
    monkeypatch.setenv("DUNWU_CACHE", "/proc/dunwu")
    check = found(doctor.check_models)["cache folder"]
    assert check.status == "optional"
    assert "DUNWU_CACHE" in check.advice


def test_the_sandbox_is_tried_out_and_its_missing_layers_named(monkeypatch):
    layers = {
        "sandbox": "bubblewrap",
        "start": "a jail of its own for each program",
        "memory": "each process by rlimit",
        "processor": "control groups v2",
        "user": "yours, without its rights",
    }

    class Executor:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def describe(self):
            return layers

    monkeypatch.setattr(doctor, "open_executor", lambda config: Executor())
    checks = found(doctor.check_sandbox)
    assert checks["sandbox"].status == "ok"
    assert set(checks) == {"sandbox", "sandbox start", "sandbox memory"}
    assert "Delegate" in checks["sandbox memory"].advice
    assert checks["sandbox memory"].detail == "each process by rlimit"
    layers.update(start="a fork into namespaces of its own", memory="control groups v1")
    assert set(found(doctor.check_sandbox)) == {"sandbox"}


def test_the_sandbox_of_this_machine():
    checks = found(doctor.check_sandbox)
    assert checks["sandbox"].status == ("ok" if shutil.which("bwrap") else "optional")


def test_a_sandbox_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (check,) = doctor.check_sandbox()
    assert check.status == "optional"
    assert "for rewards that run code" in check.detail
    assert "pacman -S bubblewrap" in check.advice
