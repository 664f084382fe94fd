"""Objects of a solution in another process, as a test program sees them. Runs inside the sandbox, in the tester.

Imports the standard library only; made by `code_remote`.
"""

from collections.abc import Iterator
from typing import Any

_FORWARDED = (
    *(
        "len",
        "iter",
        "next",
        "bool",
        "int",
        "float",
        "index",
        "round",
        "reversed",
        "neg",
        "pos",
        "abs",
        "invert",
    ),
    *("contains", "getitem", "setitem", "delitem", "enter"),
    *(
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "and",
        "or",
        "xor",
        "matmul",
        "lshift",
        "rshift",
    ),
    *("radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow", "rand", "ror", "rxor", "rmatmul"),
)
_ORDERED = ("lt", "le", "gt", "ge")


class RemoteObject:
    """An object of the solution's. Operations happen there; equality is identity, and with plain data an error.

    Were the solution asked whether its object equals what a test expects, it could always say yes. Where a task says
    so (`own_equality`), it is asked about two objects of its own.
    """

    __slots__ = ("_kind", "_number", "_solution")

    def __init__(self, solution: Any, number: int, kind: str) -> None:
        object.__setattr__(self, "_solution", solution)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_kind", kind)

    def __getattr__(self, name: str) -> Any:
        return self._solution.perform("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._solution.perform("set", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._solution.perform("del", self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._solution.perform("call", self, *args, **kwargs)

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, RemoteObject) and self._solution.perform("isinstance", self, value) is True

    def __exit__(self, *error: Any) -> Any:
        return self._solution.perform("__exit__", self, error[0] is not None)

    def __eq__(self, other: object) -> bool:
        if self._same_kind(other)._number == self._number:
            return True
        return self._solution.own_equality and self._solution.perform("__eq__", self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._number)

    def __str__(self) -> str:
        return str(self._solution.perform("str", self))

    def __repr__(self) -> str:
        return f"<{self._kind} of the solution>"

    def _same_kind(self, other: object) -> "RemoteObject":
        if not isinstance(other, RemoteObject):
            raise TypeError(f"an object of the solution's own ({self._kind}) is compared with plain data")
        return other


class RemoteCoroutine(RemoteObject):
    """What an async function of the solution's returned; it runs there when it is awaited here."""

    __slots__ = ()

    def __await__(self) -> Iterator[Any]:
        return self._solution.perform("await", self)
        yield  # makes this the generator that `await` wants


def _forward(operation: str) -> Any:
    def method(self: RemoteObject, *args: Any) -> Any:
        return self._solution.perform(operation, self, *args)

    return method


def _forward_order(operation: str) -> Any:
    def method(self: RemoteObject, other: object) -> bool:
        return self._solution.perform(operation, self, self._same_kind(other)) is True

    return method


for _name in _FORWARDED:
    setattr(RemoteObject, f"__{_name}__", _forward(f"__{_name}__"))
for _name in _ORDERED:
    setattr(RemoteObject, f"__{_name}__", _forward_order(f"__{_name}__"))
