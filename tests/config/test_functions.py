"""Finding a user's functions, and telling in time what is wrong with them."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from dunwu.config import functions
from dunwu.config.functions import FunctionError, function_fault, load_function, split_path, wanted_arguments

OFFERED = ("completion", "reference", "columns")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "beside.py").write_text("VALUE = 7\n")
    file = tmp_path / "mine.py"
    file.write_text("import beside\nNUMBER = 5\ndef reward(completion): return beside.VALUE\n")
    (tmp_path / "my_package_for_tests").mkdir()
    (tmp_path / "my_package_for_tests" / "rewards.py").write_text("def score(completion): return 2\n")
    return file


def test_a_function_is_found_in_a_file_and_in_a_module(mine: Path) -> None:
    assert load_function(f"{mine}:reward")("x") == 7
    assert load_function("my_package_for_tests.rewards:score")("x") == 2
    assert load_function("json:dumps")([]) == "[]"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("mine.py", "is not of the form"),
        (":reward", "is not of the form"),
        ("mine.py:a b", "is not of the form"),
        ("mien.py:reward", r"there is no file mien.py; did you mean mine.py\?"),
        ("elsewhere/f.py:reward", r"there is no file elsewhere/f.py \(seen from /"),
        ("mine.py:rewrad", r"mine.py has no function rewrad; did you mean reward\?"),
        ("mine.py:zzz", "mine.py has no function zzz; it has reward"),
        ("mine.py:NUMBER", "NUMBER in mine.py is a int, not a function"),
        ("no_such_module:f", "importing no_such_module fails: ModuleNotFoundError"),
        ("needs.py:f", r"importing needs.py fails: ModuleNotFoundError: .*absent.* \(needs.py line 2\)"),
        ("broken.py:f", "importing broken.py fails: SyntaxError"),
        ("leaves.py:f", "importing leaves.py fails: SystemExit: 3"),
    ],
)
def test_what_is_wrong_is_told_here_and_from_a_process_of_its_own(
    mine: Path, path: str, message: str
) -> None:
    (mine.parent / "needs.py").write_text("\nimport absent\n")
    (mine.parent / "broken.py").write_text("def f(:\n")
    (mine.parent / "leaves.py").write_text("import sys\nprint('bye')\nsys.exit(3)\n")
    with pytest.raises(FunctionError, match=message) as error:
        load_function(path)
    assert function_fault(path, OFFERED, ()) == str(error.value)


def test_a_sound_function_has_no_fault_whatever_its_module_prints_or_starts(mine: Path) -> None:
    mine.write_text(
        "import threading, time\nprint('hello')\nthreading.Thread(target=time.sleep, args=[60]).start()\n"
        "def reward(completion, *, bonus): return 1\n"
    )
    assert function_fault("mine.py:reward", OFFERED, ["bonus"]) is None
    fault = function_fault("mine.py:reward", OFFERED, ["bonsu"])
    assert fault is not None
    assert "needs an argument bonus" in fault


def test_a_module_that_ends_its_process_is_told(mine: Path) -> None:
    mine.write_text("import os\nos._exit(7)\n")
    assert function_fault("mine.py:f", OFFERED, ()) == "importing mine.py ends the process with status 7"


def test_a_module_that_takes_long_to_import_is_let_pass(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(functions, "IMPORT_SECONDS", 0.5)
    start = time.monotonic()
    assert function_fault("mine.py:f", OFFERED, ()) is None
    assert time.monotonic() - start < 30


def test_arguments_are_given_by_the_names_that_a_function_asks_for() -> None:
    assert wanted_arguments(lambda completion, columns=None: 0, OFFERED, ()) == ["completion", "columns"]
    assert wanted_arguments(lambda **everything: 0, OFFERED, ["more"]) == list(OFFERED)
    assert wanted_arguments(lambda reference, bonus, other=1: 0, OFFERED, ["bonus"]) == ["reference"]
    assert wanted_arguments(max, OFFERED, ()) == list(OFFERED)  # written in C, with no signature


def test_arguments_that_cannot_be_given_are_told() -> None:
    with pytest.raises(FunctionError, match=r"needs an argument completions, .* did you mean completion\?"):
        wanted_arguments(lambda completions: 0, OFFERED, ())
    with pytest.raises(
        FunctionError, match=r"needs an argument zzz, which nobody gives; It may take completion"
    ):
        wanted_arguments(lambda zzz: 0, OFFERED, ())
    with pytest.raises(FunctionError, match="only be given by position"):
        wanted_arguments(lambda completion, /: 0, OFFERED, ())
    with pytest.raises(FunctionError, match="params gives bonus, and the function takes no such argument"):
        wanted_arguments(lambda completion: 0, OFFERED, ["bonus"])


def test_split_path() -> None:
    assert split_path("a.b:f") == ("a.b", "f")
    assert split_path("C:/x.py:f") == ("C:/x.py", "f")


def test_looking_at_a_function_imports_nothing_of_it_here(mine: Path) -> None:
    script = (
        "import sys\nfrom dunwu.config.functions import function_fault\n"
        "print(function_fault('mine.py:reward', ['completion'], []), 'beside' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False", "False"]
