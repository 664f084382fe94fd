"""A probe that got somewhere is called a leak, each by its name; executors that do not isolate are told apart."""

from __future__ import annotations

import pytest

from dunwu.errors import SandboxError
from dunwu.sandbox.records import Execution
from dunwu.sandbox.verify import find_leaks, verify_isolation

SEALED = {
    "tcp": "ECONNREFUSED",
    "unix": "ECONNREFUSED",
    "internet": "ENETUNREACH",
    "seen": [],
    "written": [],
    "ids": [1000] * 4,
    "processes": ["1", "2"],
    "capabilities": ["0000000000000000"] * 5,
    "privileges": "1",
    "seccomp": "2",
}
LEAKS = [
    ({"tcp": "worked"}, "network (tcp)"),
    ({"unix": "worked"}, "network (unix)"),
    ({"internet": "worked"}, "network (internet)"),
    ({"seen": ["/home/me/.ssh"]}, "/home/me/.ssh"),
    ({"written": ["/usr"]}, "wrote below /usr"),
    ({"ids": [1000, 0, 1000, 1000]}, "root"),
    ({"processes": ["1", "2", "77"]}, "3 processes"),
    ({"capabilities": ["0", "0", "00000000a80425fb", "0", "0"]}, "capabilities"),
    ({"privileges": "0"}, "privileges"),
    ({"seccomp": "0"}, "not filtered"),
]


def test_a_sealed_place_has_no_leaks():
    assert find_leaks(SEALED, seccomp=True) == []
    assert find_leaks({**SEALED, "processes": [], "privileges": "?", "seccomp": "?"}, seccomp=True) == []
    assert find_leaks({**SEALED, "seccomp": "0"}, seccomp=False) == []


@pytest.mark.parametrize(("change", "words"), LEAKS)
def test_each_leak_is_named(change, words):
    (leak,) = find_leaks({**SEALED, **change}, seccomp=True)
    assert words in leak


def test_bubblewrap_is_sealed(isolated):
    found = verify_isolation(isolated, visible=isolated._blueprint.visible, seccomp=True)
    assert found["tcp"] == "ECONNREFUSED"
    assert found["internet"] == "ENETUNREACH"
    assert found["environment"] == ["HOME", "LANG", "PATH", "PYTHONHASHSEED"]


def test_no_isolation_is_found_out(unsafe):
    with pytest.raises(
        SandboxError, match=r"does not isolate.*network \(tcp\).*network \(unix\).*it saw .*/etc/hostname"
    ):
        verify_isolation(unsafe, visible=(), seccomp=True)


class Broken:
    def run_python(self, source, stdin, files, limits):
        return Execution("exited", 3, None, b"", b"no such module", 0.1, 0.1, None)


def test_an_executor_that_cannot_run_python_is_told():
    with pytest.raises(SandboxError, match=r"cannot run Python: exited.*no such module"):
        verify_isolation(Broken(), visible=(), seccomp=True)
