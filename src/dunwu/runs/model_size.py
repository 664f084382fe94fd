"""How large a stage's final model is, from the headers of its files. Called by whoever shows a run."""

from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dunwu.errors import RunError


def count_parameters(model: Path) -> int | None:
    """Count the numbers in a model folder's safetensors files; weights that are shared lie there once.

    Returns:
        None where there are no such files.
    Raises:
        RunError: a file is damaged.
    """
    counts = []
    for path in sorted(model.glob("*.safetensors")):
        try:
            with safe_open(path, "numpy") as file:
                counts.append(sum(prod(file.get_slice(name).get_shape()) for name in file.keys()))  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise RunError(
                f"{path} is damaged ({error}); restore it from a copy, or run the stage again with --rerun-changed"
            ) from error
    return sum(counts) if counts else None
