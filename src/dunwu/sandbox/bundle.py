"""The keeper's source as one text that a bare interpreter can run, wherever it is: nothing of dunwu's folder is needed there."""

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "inside"
_ORDER = ("messages", "syscalls", "processes", "request", "program", "enclosure", "supervisor", "keeper")

_START = """
def _load(sources):
    import sys, types
    for name in ("dunwu", "dunwu.sandbox", "dunwu.sandbox.inside"):
        sys.modules[name] = types.ModuleType(name)
    for name, source in sources:
        full = "dunwu.sandbox.inside." + name
        module = sys.modules[full] = types.ModuleType(full)
        setattr(sys.modules["dunwu.sandbox.inside"], name, module)
        exec(compile(source, "<sandbox " + name + ">", "exec"), module.__dict__)
    return sys.modules["dunwu.sandbox.inside.keeper"], sys.modules["dunwu.sandbox.inside.supervisor"]

_keeper, _supervisor = _load({sources!r})
try:
    _keeper.main({read_fd}, {write_fd})
    _become = None
except _supervisor.BecomeProgram as _program:
    _become = _program.arguments
if _become:
    _supervisor.program.run_python(*_become)
"""


@cache
def keeper_source(read_fd: int, write_fd: int) -> str:
    """Return Python source that runs the keeper over these two open file descriptors."""
    sources = [(name, (_FOLDER / f"{name}.py").read_text(encoding="utf-8")) for name in _ORDER]
    return (
        _START.replace("{sources!r}", repr(sources))
        .replace("{read_fd}", str(read_fd))
        .replace("{write_fd}", str(write_fd))
    )
