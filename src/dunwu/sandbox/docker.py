"""Runs each program in a container of its own, through the command line client of Docker or Podman."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Mapping

from dunwu.config.sandbox import DockerSandbox
from dunwu.errors import DependencyError
from dunwu.sandbox.inside.request import Request
from dunwu.sandbox.keeper_executor import KeeperExecutor, default_places
from dunwu.sandbox.memory import judge_memory
from dunwu.sandbox.one_shot import keeper_command, run_once
from dunwu.sandbox.records import Execution, Limits
from dunwu.sandbox.requests import base_environment, read_answer

_KEEPER_BYTES = 64 * 2**20
_KEEPER_PROCESSES = 4
_NOBODY = "65534:65534"
_CLIENT_SECONDS = 60.0


def container_command(config: DockerSandbox, name: str, limits: Limits) -> list[str]:
    """Return the client's arguments for one container, up to the command that it runs.

    No network, a read-only image, private folders of bounded size, no capabilities, no new privileges, nobody's rights; the image
    must be there already, since a run does not wait for a download.
    """
    memory = str(limits.memory_bytes + _KEEPER_BYTES)
    disk = f"rw,exec,nosuid,nodev,size={limits.file_bytes},mode=0777"
    return [
        config.program,
        "run",
        *("--rm", "--interactive", "--name", name, "--pull", "never", "--log-driver", "none"),
        *([] if config.runtime is None else ["--runtime", config.runtime]),
        *("--network", "none", "--ipc", "private", "--hostname", "sandbox", "--workdir", "/work"),
        *("--read-only", "--tmpfs", f"/work:{disk}", "--tmpfs", f"/tmp:{disk}"),
        *("--memory", memory, "--memory-swap", memory, "--shm-size", str(limits.file_bytes)),
        *("--pids-limit", str(limits.processes + _KEEPER_PROCESSES), "--ulimit", "core=0"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", _NOBODY),
        *("--entrypoint", "", config.image),
    ]


def check_engine(config: DockerSandbox) -> None:
    """Make sure that an engine answers and has the image.

    Raises:
        DependencyError: the client is not installed, no engine answers, or the image is missing.
    """
    if shutil.which(config.program) is None:
        raise DependencyError(
            f"programs cannot be isolated: {config.program} is not installed; install it, or use "
            'sandbox.kind = "bubblewrap"'
        )
    answer = _ask([config.program, "version", "--format", "{{.Server.Version}}"])
    if answer.returncode != 0:
        raise DependencyError(
            f"programs cannot be isolated: no engine answers {config.program}: {answer.stderr.strip()}; start it "
            '(systemctl start docker), or use sandbox.kind = "bubblewrap"'
        )
    if _ask([config.program, "image", "inspect", "--format", "{{.Id}}", config.image]).returncode != 0:
        raise DependencyError(
            f"the image {config.image} of sandbox.image is not there; fetch it: {config.program} pull {config.image}"
        )


def _ask(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_CLIENT_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"it did not answer within {_CLIENT_SECONDS:g} s")


class DockerExecutor(KeeperExecutor):
    """Runs each program in a container (see Executor)."""

    def __init__(self, config: DockerSandbox) -> None:
        max_parallel = config.max_parallel or default_places()
        super().__init__(max_parallel, "python3", base_environment(), memory_is_bound=False)
        self._config = config

    def _run_request(
        self, request: Request, limits: Limits, label: str
    ) -> tuple[Execution, Mapping[str, bytes]]:
        name = f"dunwu-{uuid.uuid4().hex}"
        command = container_command(self._config, name, limits) + keeper_command("python3")
        try:
            execution, left = read_answer(*run_once(command, request, work="/work"))
        except BaseException:
            _ask(
                [self._config.program, "rm", "--force", name]
            )  # the client's death does not end the container
            raise
        return judge_memory(execution, None), left

    def describe(self) -> Mapping[str, str]:
        """See Executor."""
        config = self._config
        runtime = config.runtime or "the engine's default"
        return {"sandbox": f"{config.program}, image {config.image}, runtime {runtime}", "network": "none"}
