"""`dunwu dashboard`: it serves, and says what to do when a library is missing, a port is busy or a folder is not there."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dunwu.cli.main import app


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["dashboard", *arguments])
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dunwu", "dashboard", str(tmp_path), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}, text=True
    ) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://localhost:(\d+)/", process.stdout.readline())
            assert found
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/api/runs", timeout=30) as answer:
                assert answer.read().endswith(b'"runs":[]}')
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        finally:
            process.kill()


def test_a_busy_port_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        said = refused(str(tmp_path), "--port", str(busy.getsockname()[1]))
    assert "cannot listen on 127.0.0.1:" in said
    assert "--port 0" in said


def test_a_host_that_is_not_of_this_machine(tmp_path: Path) -> None:
    assert "is not an address of this machine" in refused(str(tmp_path), "--host", "no.such.host.invalid")
    assert "cannot listen on 203.0.113.7" in refused(str(tmp_path), "--host", "203.0.113.7", "--port", "0")


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    assert "does not exist" in refused(str(tmp_path / "gone"))
    (tmp_path / "file").touch()
    assert "is a file" in refused(str(tmp_path / "file"))


@pytest.mark.parametrize("missing", ["uvicorn", "starlette"])
def test_a_missing_library_is_named_with_its_extra(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        name for name in sys.modules if name.split(".")[0] == missing or name.startswith("dunwu.dashboard")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    said = refused(str(tmp_path))
    assert f"needs the package {missing}" in said
    assert 'pip install "dunwu[dashboard]"' in said


def test_listening_to_the_network_is_warned_of_and_the_browser_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import uvicorn

    opened: list[str] = []
    served: list[Any] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: served.append(sockets[0].getsockname()))
    result = CliRunner().invoke(
        app, ["dashboard", str(tmp_path), "--host", "0.0.0.0", "--port", "0", "--open"]
    )
    assert result.exit_code == 0, result.output
    assert "there is no password" in result.output
    assert opened == [f"http://localhost:{served[0][1]}/"]
