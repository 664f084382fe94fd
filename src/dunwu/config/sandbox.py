"""Where programs written by a policy run."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from dunwu.config.base import ConfigModel


class BubblewrapSandbox(ConfigModel):
    """Linux namespaces through bubblewrap: no network, no files of this machine but its programs, nothing shared
    between two runs."""

    kind: Literal["bubblewrap"] = "bubblewrap"
    max_parallel: PositiveInt | None = None
    """Programs that run at the same time; others wait, and their clocks with them. Left out: one for each core."""
    python: str | None = None
    """Path of the interpreter that runs Python programs. Left out: the one that runs dunwu."""
    python_path: tuple[str, ...] = ()
    """Folders with packages that Python programs may import; without it, they have the standard library."""
    read_only_paths: tuple[str, ...] = ()
    """Other files and folders of this machine that programs may read, at the same path."""
    require_seccomp: bool = True
    """Refuse to start where system calls cannot be filtered; otherwise warn and go on without that layer."""


class DockerSandbox(ConfigModel):
    """A container for each program, where a Docker engine runs."""

    kind: Literal["docker"] = "docker"
    image: str = "python:3.11-slim"
    """Must hold python3; gcc:13 has g++ as well, node:20 has node."""
    program: str = "docker"
    """The command line client: "docker" or "podman"."""
    runtime: str | None = None
    """OCI runtime, for example "runsc" (gVisor)."""
    max_parallel: PositiveInt | None = None


class HttpSandbox(ConfigModel):
    """A service that speaks Piston's API (version 2)."""

    kind: Literal["http"] = "http"
    url: str
    """Base of the API, for example "http://localhost:2000/api/v2"."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Version of each language to ask for; a language that is not named takes the newest there is ("*")."""
    timeout_seconds: PositiveFloat = 60.0
    """How long the service may take over a program's own wall time before it counts as broken."""
    max_parallel: PositiveInt = 8


class UnsafeSandbox(ConfigModel):
    """No isolation: programs run as you, on this machine, with your files and your network. Every run is logged."""

    kind: Literal["unsafe"] = "unsafe"
    max_parallel: PositiveInt | None = None


SandboxConfig = Annotated[
    BubblewrapSandbox | DockerSandbox | HttpSandbox | UnsafeSandbox, Field(discriminator="kind")
]
