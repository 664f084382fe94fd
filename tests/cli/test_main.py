import subprocess
import sys

import pytest

COMMANDS = ("run", "show", "plot", "eval", "generate", "recipes", "doctor", "version")


def test_help_names_every_command(invoke):
    for options in ((), ("--help",), ("-h",)):
        text = invoke(*options).output
        assert all(f" {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(invoke, command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_a_wrong_option_is_told_with_code_2(invoke):
    result = invoke("run", "x.toml", "--run-dirr", "y")
    assert result.exit_code == 2
    assert "--run-dir" in result.output


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "dunwu", "run", "absent"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("config error: there is no recipe absent")
    assert done.stdout == ""
