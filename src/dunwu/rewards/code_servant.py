"""The solution's side of a test program: runs the solution and serves calls to it. Runs inside the sandbox.

This process is the solution's: it may do with it what it likes. Nothing that the test expects is ever in it: it gets
the solution's source, then one operation after the other, and sends back plain data, references to the solution's
own objects, or what was raised. Imports the standard library only.
"""

import builtins
import io
import operator
import os
import sys
import types
from typing import Any

from dunwu.rewards.code_wire import Channel, decode, encode

MAX_PRINTED_CHARS = 2**20

_FAILED = (RuntimeError, RuntimeError("the test raised something"), None)
_OPERATIONS: dict[str, Any] = {
    "call": lambda target, *args, **kwargs: target(*args, **kwargs),
    "get": getattr,
    "set": setattr,
    "del": delattr,
    "isinstance": lambda cls, value: isinstance(value, cls),
    "str": str,
    "repr": repr,
    **{name: getattr(operator, name) for name in dir(operator) if name.startswith("__")},
    **{
        f"__{name}__": getattr(builtins, name)
        for name in ("len", "iter", "next", "bool", "int", "float", "round")
    },
    "__reversed__": reversed,
    "__enter__": lambda target: target.__enter__(),
    "__exit__": lambda target, failed: target.__exit__(*(_FAILED if failed else (None, None, None))),
    "await": lambda target: _await(target),
    **{
        f"__r{name}__": lambda target, other, _name=name: getattr(operator, f"__{_name}__")(other, target)
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "matmul")
    },
}
_MUTABLE = (list, dict, set, bytearray)


class PrintedTooMuchError(Exception):
    """The solution printed more than is kept."""


class _Printed(io.StringIO):
    """What the solution prints, for tests that look at it."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > MAX_PRINTED_CHARS:
            raise PrintedTooMuchError(f"more than {MAX_PRINTED_CHARS} characters were printed")
        return super().write(text)


class Servant:
    """Holds the solution's objects that were handed out, and performs operations on them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._printed = _Printed()
        self._module = types.ModuleType("solution")

    def serve(self) -> None:
        """Answer messages until the tester goes away."""
        sys.stdout = self._printed
        while True:
            try:
                operation, *rest = self._channel.receive()
            except EOFError:
                return
            try:
                reply = self._perform(operation, *rest)
            except SyntaxError as error:
                reply = ["syntax", _text(error)] if operation == "load" else self._raised(error)
            except BaseException as error:
                reply = self._raised(error)
            try:
                self._channel.send([*reply, self._take_printed()])
            except RecursionError as error:
                self._channel.send([*self._raised(error), ""])

    def _perform(self, operation: str, *rest: Any) -> list[Any]:
        match operation:
            case "load":
                return self._load(rest[0])
            case "unpack":
                return self._unpack(*rest)
            case "import":
                __import__(rest[0])
                return ["ok", self._encode(sys.modules[rest[0]]), []]
            case "name":
                found = rest[0] in vars(self._module)
                return ["ok", self._encode(vars(self._module)[rest[0]]), []] if found else ["missing"]
        args = [self._decode(arg) for arg in rest[0]]
        kwargs = {key: self._decode(arg) for key, arg in rest[1].items()}
        result = _OPERATIONS[operation](*args, **kwargs)
        changed = []
        if operation in ("call", "set"):
            given = [*zip(rest[0], args, strict=True), *((rest[1][key], kwargs[key]) for key in kwargs)]
            for index, (before, value) in enumerate(given):
                if isinstance(value, _MUTABLE) and (after := self._encode(value)) != before:
                    changed.append([index, after])
        return ["ok", self._encode(result), changed]

    def _load(self, source: str) -> list[Any]:
        code = compile(source, "solution.py", "exec", dont_inherit=True)
        sys.modules["solution"] = self._module
        exec(code, vars(self._module))
        return ["ok", None, []]

    def _unpack(self, files: dict[str, str], folders: list[str]) -> list[Any]:
        for path, text in files.items():
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        sys.path[:0] = [os.path.abspath(folder) for folder in folders]
        sys.dont_write_bytecode = True
        return ["ok", None, []]

    def _encode(self, value: Any) -> Any:
        return encode(value, self._refer)

    def _decode(self, data: Any) -> Any:
        return decode(data, self._resolve)

    def _refer(self, value: Any) -> list[Any]:
        if isinstance(value, _Callback):
            return ["k", value.number]
        if isinstance(value, type) and issubclass(value, Exception):
            return ["e", _lineage(value), self._number(value)]
        return ["o", self._number(value), type(value).__name__]

    def _number(self, value: Any) -> int:
        """The number under which an object is known to the other side: one for each object."""
        number = self._numbers.setdefault(id(value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)  # which keeps it alive, and so its id its own
        return number

    def _resolve(self, data: list[Any]) -> Any:
        match data:
            case ["o", number, *_]:
                return self._objects[number]
            case ["k", number]:
                return _Callback(number, self)
        raise ValueError("malformed value")

    def call_back(self, number: int, args: Any, kwargs: Any) -> Any:
        """Let the tester run one of its own functions, and return what that returned."""
        self._channel.send(
            ["callback", number, self._encode(args), self._encode(kwargs), self._take_printed()]
        )
        while True:
            operation, *rest = self._channel.receive()
            if operation == "returned":
                return self._decode(rest[0])
            if operation == "failed":
                raise RuntimeError(rest[0])
            try:
                reply = self._perform(operation, *rest)
            except BaseException as error:
                reply = self._raised(error)
            self._channel.send([*reply, self._take_printed()])

    def _raised(self, error: BaseException) -> list[Any]:
        try:
            args = self._encode(list(error.args))
        except Exception:
            args = ["l", _text(error)]
        home = os.getcwd()
        own = [place for place in places(error) if place[0] == "solution.py" or place[0].startswith(home)]
        where = f" (line {own[-1][1]} of {os.path.basename(own[-1][0])})" if own else ""
        return ["raise", _lineage(type(error)), args, _text(error) + where]

    def _take_printed(self) -> str:
        printed = self._printed.getvalue()
        self._printed.seek(0)
        self._printed.truncate()
        return printed


class _Callback:
    """A function of the test program."""

    def __init__(self, number: int, servant: Servant) -> None:
        self.number = number
        self._servant = servant

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._servant.call_back(self.number, list(args), kwargs)


def _await(target: Any) -> Any:
    import asyncio

    async def wait() -> Any:
        return await target

    return asyncio.run(wait())


def places(error: BaseException) -> list[tuple[str, int]]:
    """Return the files and lines that an exception passed through, outermost first."""
    found, step = [], error.__traceback__
    while step is not None:
        found.append((step.tb_frame.f_code.co_filename, step.tb_lineno))
        step = step.tb_next
    return found


def _lineage(cls: type) -> list[str]:
    return [base.__name__ for base in cls.__mro__ if base is not object]


def _text(error: BaseException) -> str:
    try:
        return str(error)[:1000]
    except Exception:
        return ""
