"""A test program's conversation with a solution in another process. Runs inside the sandbox, in the tester.

Functions and objects of the solution appear as `RemoteObject`s, its exceptions as classes of the same names. What
they return is plain data, rebuilt here from JSON, so that `==` in a test is Python's own and never the solution's.
Imports the standard library only.
"""

import builtins
import sys
import types
from collections.abc import Sequence
from typing import Any

from dunwu.rewards.code_objects import RemoteCoroutine, RemoteObject
from dunwu.rewards.code_wire import Channel, decode, encode


class SolutionEndedError(BaseException):
    """The solution's process is gone, or left the protocol; no test program catches this by accident."""


class UnsupportedTestError(BaseException):
    """The test program does what cannot be done across processes; says nothing about the solution."""


class SolutionExitError(Exception):
    """The solution raised SystemExit or another exception that is not an Exception."""


class Solution:
    """The other process, as operations that can be asked of it."""

    def __init__(self, channel: Channel, *, own_equality: bool = False) -> None:
        """Args:
        own_equality: let the solution say whether two different objects of its own are equal.
        """
        self.own_equality = own_equality
        self._channel = channel
        self._callbacks: list[Any] = []
        self._exceptions: dict[tuple[str, ...], type[Exception]] = {}
        self._classes: dict[type[Exception], int] = {}
        self.fault = ""
        """What ended the conversation, once something has."""
        self.unsupported = ""
        """What the tests did that cannot be done across processes."""
        self.last_call: tuple[str, Any] | None = None
        """The latest call in words, and what it returned."""

    def load(self, source: str) -> str | None:
        """Run the solution's source; return the fault where it is not Python.

        Raises:
            Exception: what the source raised.
        """
        kind, value = self._ask(["load", source])
        return value if kind == "syntax" else None

    def unpack(self, files: dict[str, str], folders: list[str]) -> None:
        """Lay a repository's files where the solution's process can import them from these folders."""
        self._ask(["unpack", files, folders])

    def import_module(self, name: str) -> Any:
        """Return a module that the solution's process has imported.

        Raises:
            Exception: what importing it raised.
        """
        return self._ask(["import", name])[1]

    def look_up(self, name: str) -> Any:
        """Return the solution's global of that name.

        Raises:
            KeyError: it has none.
        """
        kind, value = self._ask(["name", name])
        if kind == "missing":
            raise KeyError(name)
        return value

    def perform(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        """Perform an operation on the solution's objects; containers that it changes are changed here too."""
        sent = [self._encode(arg) for arg in args]
        message = [operation, sent, {key: self._encode(arg) for key, arg in kwargs.items()}]
        _, result = self._ask(message, [*args, *kwargs.values()])
        if operation == "call":
            self.last_call = (_call_text(args, kwargs), result)
        return result

    def _ask(self, message: Any, given: Sequence[Any] = ()) -> tuple[str, Any]:
        """Return the kind of reply ("ok", "missing", "syntax") and its value, or raise what was raised there.

        Args:
            given: values of which those that changed there are changed here.
        Raises:
            SolutionEndedError: the other side is gone, or sent anything but a reply; so it is from then on.
        """
        if self.fault:
            raise SolutionEndedError(self.fault)
        try:
            self._channel.send(message)
            while (reply := self._receive())[0] == "callback":
                self._channel.send(self._run_callback(*reply[1:]))
            kind, value = self._read(reply, given)
        except EOFError as error:
            self.fault = f"the solution's process ended ({error})"
        except Exception as error:
            self.fault = f"the solution's process left the protocol ({type(error).__name__})"
        if self.fault:
            raise SolutionEndedError(self.fault)
        if kind == "raise":
            raise value
        return kind, value

    def _receive(self) -> list[Any]:
        *reply, printed = self._channel.receive()
        if printed:
            sys.stdout.write(printed)
        return reply

    def _read(self, reply: list[Any], given: Sequence[Any]) -> tuple[str, Any]:
        match reply:
            case ["ok", data, [*changes]]:
                for index, after in changes:
                    _replace(given[index], self._decode(after))
                return "ok", self._decode(data)
            case ["raise", [*lineage], args, str(text)]:
                error = self._exception(tuple(lineage))(*self._decode(args))
                error.add_note(text)
                return "raise", error
            case ["syntax", str(text)]:
                return "syntax", text
            case ["missing"]:
                return "missing", None
        raise ValueError("malformed reply")

    def _run_callback(self, number: int, args: Any, kwargs: Any) -> list[Any]:
        callback = self._callbacks[number]
        values, keywords = self._decode(args), self._decode(kwargs)
        try:
            return ["returned", self._encode(callback(*values, **keywords))]
        except Exception as error:
            return ["failed", f"{type(error).__name__}: {error}"]

    def _exception(self, lineage: tuple[str, ...]) -> type[Exception]:
        """The class here for an exception class there: a builtin one, or one made under its name."""
        builtin = getattr(builtins, lineage[0], None)
        if isinstance(builtin, type) and issubclass(builtin, BaseException):
            return builtin if issubclass(builtin, Exception) else SolutionExitError
        if lineage not in self._exceptions:
            base = self._exception(lineage[1:])
            self._exceptions[lineage] = type(lineage[0], (base,), {})
        return self._exceptions[lineage]

    def _encode(self, value: Any) -> Any:
        return encode(value, self._refer)

    def _decode(self, data: Any) -> Any:
        return decode(data, self._resolve)

    def _refer(self, value: Any) -> list[Any]:
        if isinstance(value, RemoteObject):
            return ["o", value._number]
        if isinstance(value, type) and value in self._classes:
            return ["o", self._classes[value]]
        if isinstance(value, types.ModuleType) and "_there" in vars(value):
            return ["o", vars(value)["_there"]._number]
        if callable(value) and not isinstance(value, type):
            self._callbacks.append(value)
            return ["k", len(self._callbacks) - 1]
        kind = type(value).__name__
        self.unsupported = (
            f"a {kind} is handed to the solution, which can only be given plain data and functions"
        )
        raise UnsupportedTestError(self.unsupported)

    def _resolve(self, data: list[Any]) -> Any:
        match data:
            case ["o", int(number), str(kind)]:
                made = RemoteCoroutine if kind == "coroutine" else RemoteObject
                return made(self, number, kind)
            case ["k", int(number)]:
                return self._callbacks[number]
            case ["e", [*lineage], int(number)]:
                found = self._exception(tuple(lineage))
                self._classes[found] = number
                return found
        raise ValueError("malformed value")


def _replace(old: Any, new: Any) -> None:
    """Make a container equal to another one of its kind, in place."""
    if type(old) is not type(new):
        return
    if isinstance(old, (list, bytearray)):
        old[:] = new
    elif isinstance(old, (dict, set)):
        old.clear()
        old.update(new)


def _call_text(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    return ", ".join(
        [*(repr(arg) for arg in args[1:]), *(f"{key}={value!r}" for key, value in kwargs.items())]
    )
