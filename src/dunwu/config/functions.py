"""User functions named in a recipe: finding them, and telling in time what is wrong with them.

A function is named "package.module:function", importable from where the command runs or installed, or
"file.py:function". Nothing of a user's is imported into the calling process: `function_fault` looks in a
process of its own. The process that calls the function (`rewards.function_worker`) loads it by
`load_function` too. Imports no torch.
"""

import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import dunwu
from dunwu.config.keys import nearest

FUNCTION_ARGUMENTS = (
    *("completion", "prompt", "question", "reference", "answer", "reasoning", "num_tokens", "finish_reason"),
    *("language", "kind", "id", "columns"),
)
"""What a reward function may ask for, by the names of its arguments; `columns` holds the task's own."""
IMPORT_SECONDS = 60.0
"""How long the look at a function may take; a module that takes longer to import is met when it is used."""


class FunctionError(Exception):
    """A function cannot be loaded or called as it is meant to be; the message says why."""


def load_function(path: str) -> Callable[..., Any]:
    """Import a user's module and return the function in it. Only for processes that are meant to run it.

    Args:
        path: "package.module:function" or "file.py:function"; a file's folder, or for a module the current
            folder, is put in front of the places where Python looks for modules.
    Raises:
        FunctionError: there is no such file, module or function, or importing fails; the message names the
            nearest function and the line that failed.
    """
    place, name = split_path(path)
    try:
        module = _import_file(Path(place).expanduser()) if place.endswith(".py") else _import_module(place)
    except FunctionError:
        raise
    except BaseException as error:  # a module may do anything while it is imported, sys.exit() included
        raise FunctionError(
            f"importing {place} fails: {type(error).__name__}: {error}{failing_line(error)}"
        ) from error
    if not hasattr(module, name):
        functions = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        near = nearest(name, functions)
        guess = f"; did you mean {near}?" if near else f"; it has {', '.join(functions) or 'none'}"
        raise FunctionError(f"{place} has no function {name}{guess}")
    function = getattr(module, name)
    if not callable(function):
        raise FunctionError(f"{name} in {place} is a {type(function).__name__}, not a function")
    return function


def split_path(path: str) -> tuple[str, str]:
    """Split "place:function".

    Raises:
        FunctionError: it has another form.
    """
    place, colon, name = path.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise FunctionError(f'{path!r} is not of the form "package.module:function" or "file.py:function"')
    return place, name


def wanted_arguments(
    function: Callable[..., Any], offered: Collection[str], params: Collection[str]
) -> list[str]:
    """Return which of the offered arguments a function takes by keyword; all of them if it takes any.

    Raises:
        FunctionError: it needs an argument that is not offered, or does not take one of `params`.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return list(offered)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    for parameter in parameters:
        needed = parameter.default is parameter.empty
        if parameter.kind is parameter.POSITIONAL_ONLY and needed:
            raise FunctionError(f"its argument {parameter.name} can only be given by position; drop the /")
        if parameter.name in named and needed and parameter.name not in {*offered, *params}:
            near = nearest(parameter.name, list(offered))
            guess = f"did you mean {near}? " if near else ""
            raise FunctionError(
                f"it needs an argument {parameter.name}, which nobody gives; {guess}It may take "
                f"{', '.join(offered)}, and what `params` holds"
            )
    for name in params:
        if name not in named and not takes_any:
            raise FunctionError(f"params gives {name}, and the function takes no such argument")
    return [name for name in offered if takes_any or name in named]


def function_fault(path: str, offered: Collection[str], params: Collection[str]) -> str | None:
    """Return why a function could not be called with these keyword arguments; None if it could.

    Looks in a process of its own, which ends after IMPORT_SECONDS at the latest.
    """
    try:
        place, _ = split_path(path)
    except FunctionError as error:
        return str(error)
    if place.endswith(".py") and not Path(place).expanduser().is_file():
        return _no_file(Path(place).expanduser())
    package_root = str(Path(dunwu.__file__).parent.parent)
    python_path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "dunwu.config.functions"],
            input=json.dumps([path, list(offered), list(params)]),
            env={**os.environ, "PYTHONPATH": python_path},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=IMPORT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    last = done.stdout.rpartition("\n")[2]  # what the module prints while it is imported comes before
    if done.returncode or not last:
        return f"importing {place} ends the process with status {done.returncode}"
    fault: str | None = json.loads(last)
    return fault


def failing_line(error: BaseException) -> str:
    """Return " (file.py line 3)" for where in a user's code an error arose, "" where that is not known."""
    traceback, found = error.__traceback__, ""
    ours = str(Path(dunwu.__file__).parent)
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith((ours, "<")):
            found = f" ({Path(file).name} line {traceback.tb_lineno})"
        traceback = traceback.tb_next
    return found


def _no_file(file: Path) -> str:
    beside = [other.name for other in file.parent.iterdir()] if file.parent.is_dir() else []
    near = nearest(file.name, beside)
    guess = f"; did you mean {file.parent / near}?" if near else f" (seen from {Path.cwd()})"
    return f"there is no file {file}{guess}"


def _import_file(file: Path) -> Any:
    if not file.is_file():
        raise FunctionError(_no_file(file))
    sys.path.insert(0, str(file.resolve().parent))
    spec = importlib.util.spec_from_file_location(f"dunwu_user_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up there
    spec.loader.exec_module(module)
    return module


def _import_module(name: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return importlib.import_module(name)


def _main() -> None:
    """Print the fault of the function that is named on the standard input as the last line of the output."""
    path, offered, params = json.load(sys.stdin)
    fault = None
    try:
        wanted_arguments(load_function(path), offered, params)
    except FunctionError as error:
        fault = str(error)
    sys.stdout.write("\n" + json.dumps(fault))
    sys.stdout.flush()
    os._exit(0)  # threads that the module started are not waited for


if __name__ == "__main__":
    _main()
