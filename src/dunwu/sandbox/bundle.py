"""The keeper as one text that a bare interpreter can run, wherever it is: nothing of dunwu's folder is needed there."""

import importlib.util
import marshal
import zlib
from binascii import b2a_base64
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "inside"
_ORDER = ("messages", "syscalls", "processes", "request", "program", "enclosure", "supervisor", "keeper")
_START = """
def _load():
    import marshal, sys, types, zlib
    from binascii import a2b_base64
    from _frozen_importlib_external import MAGIC_NUMBER
    for name in ("dunwu", "dunwu.sandbox", "dunwu.sandbox.inside"):
        sys.modules[name] = types.ModuleType(name)
    packed = _COMPILED if MAGIC_NUMBER == _MAGIC else _SOURCES
    for name, code in marshal.loads(zlib.decompress(a2b_base64(packed))):
        full = "dunwu.sandbox.inside." + name
        module = sys.modules[full] = types.ModuleType(full)
        setattr(sys.modules["dunwu.sandbox.inside"], name, module)
        exec(code, module.__dict__)
    loaded = [sys.modules.pop(name) for name in list(sys.modules) if name.startswith("dunwu")]
    sys.modules["__main__"]._loaded = loaded
    return loaded[-1], loaded[-2]

_keeper, _supervisor = _load()
try:
    _keeper.main(*_STREAMS)
    _become = None
except _supervisor.BecomeProgram as _program:
    _become = _program.arguments
if _become:
    _supervisor.program.run_python(*_become)
"""


def keeper_source(read_fd: int, write_fd: int) -> str:
    """Return Python source that runs the keeper over these two open file descriptors.

    It holds the keeper's code compiled, for an interpreter of the same version as this one, and as text for others.
    """
    return f"_STREAMS = {read_fd}, {write_fd}\n{_packed_code()}{_START}"


@cache
def _packed_code() -> str:
    sources = [(name, (_FOLDER / f"{name}.py").read_text(encoding="utf-8")) for name in _ORDER]
    compiled = [(name, compile(text, f"<sandbox {name}>", "exec")) for name, text in sources]
    return f"_MAGIC = {importlib.util.MAGIC_NUMBER!r}\n_SOURCES = {_pack(sources)!r}\n_COMPILED = {_pack(compiled)!r}\n"


def _pack(parts: list[Any]) -> bytes:
    return b2a_base64(zlib.compress(marshal.dumps(parts, 2), 9), newline=False)
