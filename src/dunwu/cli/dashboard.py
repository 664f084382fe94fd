"""`dunwu dashboard`: a local web page over run folders."""

import socket
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from dunwu.cli.errors import error_console, reports_errors
from dunwu.errors import ConfigError, DependencyError

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ALL = ("0.0.0.0", "::")


@reports_errors
def dashboard(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Run folders, or folders that hold some.", show_default="runs"),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="The address to listen on; others than loopback let the network read your runs."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 6006,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Show runs in the browser, live while they train and afterwards. Reads the run folders and nothing else."""
    places = runs or [Path("runs")]
    _require_folders(places, given=bool(runs))
    create_app, uvicorn = _libraries()
    listener = _listen(host, port)
    app = create_app(
        places, hosts=() if host in _LOOPBACK else (host, socket.gethostname()), any_address=host in _ALL
    )
    address = _address(host, listener.getsockname()[1])
    _say(address, host, places)
    if open_:
        webbrowser.open(address)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def _require_folders(places: list[Path], *, given: bool) -> None:
    for place in places:
        if place.exists() and not place.is_dir():
            raise ConfigError(f"{place} is a file; give a run folder, or a folder that holds run folders")
        if given and not place.exists():
            raise ConfigError(
                f"{place} does not exist; give a run folder, or a folder that holds run folders"
            )


def _libraries() -> tuple[Any, Any]:
    try:
        import uvicorn

        from dunwu.dashboard.app import create_app
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("uvicorn", "starlette", "duckdb"):
            raise
        raise DependencyError(
            f"the dashboard needs the package {error.name}, which is not installed; install what it needs with: "
            'pip install "dunwu[dashboard]"'
        ) from None
    return create_app, uvicorn


def _listen(host: str, port: int) -> socket.socket:
    """Take the port now, so that a busy one is told before anything is opened."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(
            f"--host {host} is not an address of this machine ({error}); use 127.0.0.1, or 0.0.0.0 for all of them"
        ) from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror}); another program, perhaps another dashboard, has it: choose "
            "another with --port, or let the system choose with --port 0"
        ) from None
    return listener


def _address(host: str, port: int) -> str:
    shown = "localhost" if host in (*_LOOPBACK, *_ALL) else host
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def _say(address: str, host: str, places: list[Path]) -> None:
    console = Console()
    console.print(
        Text.assemble("dunwu dashboard: ", (address, "bold"), f"   ({', '.join(map(str, places))})"),
        soft_wrap=True,
    )
    console.print(Text("stop it with Ctrl-C", style="dim"))
    if host not in _LOOPBACK:
        error_console().print(
            Text(
                f"warning: listening on {host}: whoever reaches this machine can read these runs; there is no password",
                style="yellow",
            ),
            soft_wrap=True,
        )
