"""The test program's view of a solution elsewhere; here the solution's side is a thread."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from dunwu.rewards.code_objects import RemoteObject
from dunwu.rewards.code_remote import (
    Solution,
    SolutionEndedError,
    SolutionExitError,
    UnsupportedTestError,
)
from dunwu.rewards.code_servant import Servant
from dunwu.rewards.code_wire import Channel

CLASSES = """
class Stack:
    def __init__(self, items=()):
        self.items = list(items)
    def push(self, item):
        self.items.append(item)
        return self
    def __len__(self):
        return len(self.items)
    def __getitem__(self, index):
        return self.items[index]
    def __contains__(self, item):
        return item in self.items
    def __add__(self, other):
        return Stack(self.items + list(other))
    def __radd__(self, other):
        return "radd"
    def __lt__(self, other):
        return len(self) < len(other)
    def __enter__(self):
        return "entered"
    def __exit__(self, *error):
        self.items.clear()
    def __str__(self):
        return "stack"
class Yes:
    def __eq__(self, other):
        return True
    def __lt__(self, other):
        return True
    def __hash__(self):
        return 1
class Trouble(KeyError):
    pass
def yes():
    return Yes()
def fail(kind):
    raise {"own": Trouble, "value": ValueError, "exit": SystemExit, "assert": AssertionError}[kind]("said", 3)
def numbers():
    yield from (1, 2, 3)
def stack():
    return Stack()
def name_of(cls):
    return cls.__name__
async def later(x):
    return x + 1
"""


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Solution]]:
    """Connect to a servant thread that has loaded a source."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # the servant replaces it
    started: list[tuple[threading.Thread, list[int]]] = []

    def start(source: str, **options: bool) -> Solution:
        to_solution, from_solution = os.pipe(), os.pipe()
        there = Channel(os.fdopen(to_solution[0], "rb"), os.fdopen(from_solution[1], "wb"))
        thread = threading.Thread(target=Servant(there).serve)
        thread.start()
        here = os.fdopen(to_solution[1], "wb")
        started.append((thread, [here]))
        solution = Solution(Channel(os.fdopen(from_solution[0], "rb"), here), **options)
        assert solution.load(source) is None
        return solution

    yield start
    for thread, (here,) in started:
        here.close()
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_functions_take_and_return_plain_data(connect):
    solution = connect("def f(a, *rest, key=None):\n    return [a, rest, {key: {1, 2}}]\n")
    f = solution.look_up("f")
    assert f(1, "x", (2,), key=b"k") == [1, ("x", (2,)), {b"k": {1, 2}}]
    assert solution.last_call is not None
    assert solution.last_call[0] == "1, 'x', (2,), key=b'k'"
    with pytest.raises(KeyError):
        solution.look_up("g")


def test_containers_that_a_call_changes_are_changed_here(connect):
    solution = connect(
        "def f(a, b, *, c, d):\n    a.sort()\n    b['x'] = 1\n    c.add(3)\n    d[0] = 7\n    a = None\n"
    )
    a, b, c, d = [3, 1, 2], {}, {1}, bytearray(b"z")
    same = a
    assert solution.look_up("f")(a, b, c=c, d=d) is None
    assert (a, b, c, d) == ([1, 2, 3], {"x": 1}, {1, 3}, bytearray(b"\x07"))
    assert same is a


def test_objects_of_the_solutions_classes_can_be_used(connect):
    stack = connect(CLASSES).look_up("Stack")([1])
    assert stack.push(2).push(3).items == [1, 2, 3]
    assert (len(stack), stack[0], 2 in stack, 9 in stack, list(stack), bool(stack)) == (
        3,
        1,
        True,
        False,
        [1, 2, 3],
        True,
    )
    more = (4,)
    assert (stack + more).items == [1, 2, 3, 4]
    assert 4 + stack == "radd"
    stack.items = [5]
    assert stack.items == [5]
    with stack as inside:
        assert inside == "entered"
    assert not stack
    stack.push(1)
    with pytest.raises(ZeroDivisionError), stack:
        1 / 0  # noqa: B018
    assert not stack
    assert (str(stack), repr(stack)) == ("stack", "<Stack of the solution>")
    with pytest.raises(AttributeError, match="nothing"):
        _ = stack.nothing
    with pytest.raises(IndexError):
        stack[9]


def test_generators_and_classes_are_served_too(connect):
    solution = connect(CLASSES)
    assert sum(solution.look_up("numbers")()) == 6
    cls = solution.look_up("Stack")
    assert isinstance(solution.look_up("stack")(), cls)
    assert not isinstance(solution.look_up("yes")(), cls)
    assert not isinstance(3, cls)
    assert cls(()) < cls([1])


def test_coroutines_can_be_awaited(connect):
    later = connect(CLASSES).look_up("later")

    async def test():
        return await later(4)

    assert asyncio.run(test()) == 5


def test_an_object_is_never_asked_whether_it_equals_what_is_expected(connect):
    solution = connect(CLASSES)
    yes = solution.look_up("yes")
    one = yes()
    for compare in (
        lambda: one == 3,
        lambda: one != 3,
        lambda: [3].index(one),
        lambda: one < 3,
        lambda: one in [3],
    ):
        with pytest.raises(
            TypeError, match=r"an object of the solution's own \(Yes\) is compared with plain"
        ):
            compare()
    assert one == one
    assert one != yes()
    assert len({one, yes()}) == 2
    trusting = connect(CLASSES, own_equality=True).look_up("yes")
    assert trusting() == trusting()
    with pytest.raises(TypeError, match="compared with plain data"):
        _ = trusting() == 3


def test_one_object_of_the_solution_is_one_object_here(connect):
    solution = connect(
        "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2\ndef best():\n    return Color.RED\n"
    )
    color, best = solution.look_up("Color"), solution.look_up("best")
    assert best() == color.RED
    assert best() != color.BLUE
    assert {best(): "x"}[color.RED] == "x"


def test_exceptions_arrive_as_their_builtin_kind_or_under_their_own_name(connect):
    solution = connect(CLASSES)
    fail, trouble = solution.look_up("fail"), solution.look_up("Trouble")
    with pytest.raises(ValueError, match="said") as caught:
        fail("value")
    assert caught.value.args == ("said", 3)
    assert "line" in caught.value.__notes__[0]
    with pytest.raises(trouble):
        fail("own")
    with pytest.raises(KeyError):
        fail("own")
    with pytest.raises(AssertionError):
        fail("assert")
    with pytest.raises(SolutionExitError):
        fail("exit")
    assert issubclass(trouble, KeyError)
    assert solution.look_up("name_of")(trouble) == "Trouble"
    assert solution.look_up("name_of")(ValueError) == "ValueError"


def test_functions_of_the_test_can_be_called_back(connect):
    solution = connect(
        "def apply(f, x):\n    return f(f(x))\n"
        "def same(f):\n    return f\n"
        "def safe(f):\n    try:\n        f()\n    except RuntimeError as error:\n        return str(error)\n"
        "def nested(f):\n    return f(lambda y: y + 1)\n"
    )
    assert solution.look_up("apply")(lambda x: x * 3, 2) == 18
    assert solution.look_up("same")(len) is len
    assert solution.look_up("safe")(lambda: 1 / 0) == "ZeroDivisionError: division by zero"
    assert solution.look_up("nested")(lambda g: g(1)) == 2


def test_what_cannot_cross_is_the_tests_fault_and_not_the_solutions(connect):
    solution = connect("def f(x):\n    return x\n")
    with pytest.raises(UnsupportedTestError, match="a object is handed to the solution"):
        solution.look_up("f")(object())
    assert solution.unsupported
    assert not solution.fault


def test_a_syntax_error_is_returned_and_other_errors_of_the_source_are_raised(connect):
    solution = connect("x = 1")
    fault = solution.load("def f(:\n")
    assert fault is not None
    assert "solution.py, line 1" in fault
    with pytest.raises(ZeroDivisionError):
        solution.load("1 / 0")


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (b"", "ended"),
        (b"nonsense\n", "left the protocol"),
        (b"{}\n", "left the protocol"),
        (b'["ok"]\n', "left the protocol"),
        (b'["ok", ["zz"], [], ""]\n', "left the protocol"),
        (b'["ok", {"a": 1}, [], ""]\n', "left the protocol"),
        (b'["raise", [], [], "", ""]\n', "left the protocol"),
        (b'["raise", ["os.system"], ["l"], "", ""]\n', "left the protocol"),
        (b'["callback", 7, ["l"], ["d"], ""]\n', "left the protocol"),
        (b'["ok", ' + b"[" * 5000 + b"]" * 5000 + b', [], ""]\n', "left the protocol"),
    ],
)
def test_a_hostile_reply_ends_the_conversation_and_nothing_else(tmp_path, lines, complaint):
    (tmp_path / "in").write_bytes(lines)
    with open(tmp_path / "in", "rb") as incoming, open(tmp_path / "out", "wb") as outgoing:
        solution = Solution(Channel(incoming, outgoing))
        for _ in range(2):
            with pytest.raises(SolutionEndedError, match=complaint):
                solution.look_up("f")
        assert complaint in solution.fault


def test_a_reply_cannot_name_more_than_exceptions(tmp_path):
    reply = b'["raise", ["eval", "Exception"], ["l", "1"], "text", ""]\n["raise", ["KeyboardInterrupt"], ["l"], "", ""]\n'
    (tmp_path / "in").write_bytes(reply)
    with open(tmp_path / "in", "rb") as incoming, open(tmp_path / "out", "wb") as outgoing:
        solution = Solution(Channel(incoming, outgoing))
        with pytest.raises(Exception, match="1") as caught:
            solution.look_up("f")
        assert type(caught.value).__name__ == "eval"
        assert type(caught.value).__mro__[1] is Exception
        with pytest.raises(SolutionExitError):
            solution.look_up("f")


def test_a_remote_object_has_no_state_of_its_own_to_forge():
    assert set(RemoteObject.__slots__) == {"_kind", "_number", "_solution"}
