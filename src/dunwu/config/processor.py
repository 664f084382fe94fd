"""What this machine's CPU has instructions for, without torch. Called by `models.precision` and `dunwu doctor`."""

from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def cpu_fields(cpu_info: Path | None = None) -> list[tuple[str, str]]:
    """The lines of Linux's description of the CPU as keys and values; none where the system has no such file.

    Args:
        cpu_info: default CPU_INFO.
    """
    try:
        text = (cpu_info or CPU_INFO).read_text()
    except OSError:
        return []
    parts = (line.partition(":") for line in text.splitlines())
    return [(key.strip(), value.strip()) for key, _, value in parts]


def cpu_features(fields: list[tuple[str, str]]) -> frozenset[str]:
    """The names of the CPU's instruction sets, as Linux spells them."""
    return frozenset(flag for key, value in fields if key in ("flags", "Features") for flag in value.split())


def multiplies_bfloat16(features: frozenset[str]) -> bool:
    """Whether there are instructions for matrix products in bfloat16 among them."""
    return bool(features & _BFLOAT16)
