"""What the machine is and what it can do, measured in the same run as everything that is compared with it."""

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch


def describe() -> dict[str, Any]:
    """Hardware, operating system, threads and load average before the run."""
    return {
        "cpu": cpu_name(),
        "num_cores": psutil.cpu_count(logical=True),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch_threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of the packages that decide the figures."""
    return {package: importlib.metadata.version(package) for package in packages}


def limits(*, bfloat16: bool) -> dict[str, float]:
    """Matrix product rate in float32 and, if asked for, bfloat16 (2048^3, FLOP/s), and memory read rate (bytes/s)."""
    rates = {"matmul_fp32_flops": matmul_flops(torch.float32), "memory_read_bytes_per_second": read_rate()}
    return {"matmul_bf16_flops": matmul_flops(torch.bfloat16), **rates} if bfloat16 else rates


def matmul_flops(dtype: torch.dtype, size: int = 2048) -> float:
    """Median rate of a square matrix product, in FLOP/s."""
    left, right = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    return 2 * size**3 / median_seconds(lambda: left @ right)


def read_rate(num_bytes: int = 1 << 30) -> float:
    """Median rate of a sum over memory far larger than any cache, in bytes/s."""
    values = torch.ones(num_bytes // 8, dtype=torch.int64)
    return num_bytes / median_seconds(values.sum)


def median_seconds(work: Callable[[], object], repeats: int = 7) -> float:
    """Median wall time of `work`, after one unmeasured call."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def cpu_name() -> str:
    """The processor's name as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
