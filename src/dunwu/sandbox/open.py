"""Opens the executor that a recipe names, after it has proved that it isolates."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dunwu.config.sandbox import BubblewrapSandbox, DockerSandbox, HttpSandbox, UnsafeSandbox
from dunwu.errors import DependencyError, SandboxError
from dunwu.sandbox.bubblewrap import BubblewrapExecutor
from dunwu.sandbox.cgroups import Hierarchy, find_hierarchies, remove_stale_groups
from dunwu.sandbox.docker import DockerExecutor, check_engine
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.filters import compile_filter
from dunwu.sandbox.jail import Blueprint, jail_environment
from dunwu.sandbox.jail_root import check_paths, find_interpreter
from dunwu.sandbox.keeper_executor import default_places
from dunwu.sandbox.piston import HttpExecutor
from dunwu.sandbox.unsafe import UnsafeExecutor
from dunwu.sandbox.verify import verify_isolation

_LOG = logging.getLogger(__name__)
_INSTALL = (
    "install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap; "
    "Arch: pacman -S bubblewrap)"
)
_SETTINGS = Path("/proc/sys")
_FORBIDDING = {
    "kernel.apparmor_restrict_unprivileged_userns": "1",
    "user.max_user_namespaces": "0",
    "kernel.unprivileged_userns_clone": "0",
}


def open_executor(config: BubblewrapSandbox | DockerSandbox | HttpSandbox | UnsafeSandbox) -> Executor:
    """Open the executor that `config` names.

    Raises:
        DependencyError: nothing isolates programs on this machine; the message says what to install or allow.
        ConfigError: `config` names what does not exist.
    """
    match config:
        case BubblewrapSandbox():
            return open_bubblewrap(config)
        case DockerSandbox():
            return open_docker(config)
        case HttpSandbox():
            service = HttpExecutor(config)
            service.check_service()
            _log_layers(service)
            return service
        case UnsafeSandbox():
            return UnsafeExecutor(config.max_parallel or default_places())


def open_bubblewrap(config: BubblewrapSandbox) -> BubblewrapExecutor:
    """Open bubblewrap, the fast way where the kernel lets it, and prove that it isolates.

    Raises:
        DependencyError: it is not installed, or the kernel does not let it isolate.
    """
    find_bubblewrap()
    hierarchies = find_hierarchies()
    filters = compile_filters(config, memory_is_bound=any("memory" in one.controllers for one in hierarchies))
    remove_stale_groups(hierarchies)
    check_paths(config)
    faults = []
    for nested in (True, False):
        blueprint = make_blueprint(config, filters, nested=nested)
        executor = BubblewrapExecutor(
            blueprint,
            hierarchies,
            config.max_parallel or default_places(),
            describe_layers(blueprint, hierarchies),
        )
        try:
            verify_isolation(executor, visible=blueprint.visible, seccomp=bool(filters.program))
        except SandboxError as error:
            executor.close()
            faults.append(str(error))
            continue
        except BaseException:
            executor.close()
            raise
        _log_layers(executor)
        return executor
    raise DependencyError(f"programs cannot be isolated: {faults[-1]}; {advise()}")


def find_bubblewrap() -> str:
    """Return the path of bubblewrap.

    Raises:
        DependencyError: it is not installed.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise DependencyError(f"programs cannot be isolated: {_INSTALL}")
    return bwrap


def make_blueprint(config: BubblewrapSandbox, filters: Filters, *, nested: bool) -> Blueprint:
    """Return the jail that a recipe asks for.

    Args:
        nested: programs are forked into namespaces of their own inside it; else each program has such a jail for itself.
    """
    interpreter = find_interpreter(config)
    return Blueprint(
        bwrap=find_bubblewrap(),
        interpreter=interpreter,
        paths=config.read_only_paths,
        python_path=config.python_path,
        env=jail_environment(interpreter, config.python_path),
        outer_filter=filters.nested if nested else filters.flat,
        inner_filter=filters.program,
        nested=nested,
    )


def open_docker(config: DockerSandbox) -> DockerExecutor:
    """Open a container engine, and prove that it isolates.

    Raises:
        DependencyError: no engine answers, it lacks the image, or its containers do not isolate.
    """
    check_engine(config)
    executor = DockerExecutor(config)
    try:
        verify_isolation(executor, visible=(), seccomp=False)
    except SandboxError as error:
        executor.close()
        raise DependencyError(f"programs cannot be isolated: {error}") from error
    _log_layers(executor)
    return executor


def _log_layers(executor: Executor) -> None:
    _LOG.info("%s", ", ".join(f"{name}: {what}" for name, what in executor.describe().items()))


@dataclass(frozen=True)
class Filters:
    """System call filters, empty where that layer is given up: of a keeper that makes namespaces, of one that does not, and
    of the program on top of either."""

    nested: bytes = b""
    flat: bytes = b""
    program: bytes = b""


def compile_filters(config: BubblewrapSandbox, *, memory_is_bound: bool) -> Filters:
    """Compile the filters, without those calls that hoard memory uncounted where no control group bounds it.

    Raises:
        DependencyError: they cannot be compiled, and the recipe requires them.
    """
    try:
        return Filters(
            compile_filter("zygote"),
            compile_filter("keeper"),
            compile_filter("program", hoards=memory_is_bound),
        )
    except DependencyError as error:
        if config.require_seccomp:
            raise
        _LOG.warning("sandbox WITHOUT a system call filter: %s", error)
        return Filters()


def describe_layers(blueprint: Blueprint, hierarchies: tuple[Hierarchy, ...]) -> dict[str, str]:
    """Name each layer, and what stands in where one is missing."""
    bound_by = {name: f"control groups v{one.version}" for one in hierarchies for name in one.controllers}
    return {
        "sandbox": "bubblewrap",
        "namespaces": "user, pid, net, ipc, uts, mount, cgroup",
        "start": "a fork into namespaces of its own"
        if blueprint.nested
        else "a jail of its own for each program",
        "system calls": "filtered" if blueprint.outer_filter else "NOT FILTERED",
        "memory": bound_by.get(
            "memory", "each process by rlimit, the sum watched (no control group can be made)"
        ),
        "processes": f"rlimit, {bound_by['pids']}" if "pids" in bound_by else "rlimit",
        "processor": bound_by.get("cpu", "time only: programs may slow each other down"),
        "user": "one for each place" if os.geteuid() == 0 else "yours, without its rights",
    }


def advise() -> str:
    """Say what has to be allowed on this machine, as far as its settings tell."""
    forbidding = []
    for name, value in _FORBIDDING.items():
        place = _SETTINGS / name.replace(".", "/")
        if place.is_file() and place.read_text().strip() == value:
            forbidding.append(name)
    if "kernel.apparmor_restrict_unprivileged_userns" in forbidding:
        return (
            "AppArmor forbids user namespaces here (Ubuntu 23.10 and newer): give bwrap a profile with `userns,` in "
            "/etc/apparmor.d, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if "user.max_user_namespaces" in forbidding:
        return "allow user namespaces: sysctl -w user.max_user_namespaces=10000"
    if forbidding:
        return "allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1"
    return (
        "allow user namespaces on this machine; in a container, start it with the right to make them "
        "(docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined)"
    )
