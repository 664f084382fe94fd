"""The measurable rules of the house over all of src/."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "src").rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80
BAD_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_a_file_is_short_enough_to_be_read(path):
    count = len(path.read_text(encoding="utf-8").splitlines())
    assert count <= MAX_FILE_LINES, f"{count} lines; does it still hold one idea?"


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_functions_are_short_and_the_module_says_what_it_is(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if tree.body:
        assert ast.get_docstring(tree), "no module docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_no_file_is_a_drawer_for_everything():
    assert not [path for path in FILES if path.stem in BAD_NAMES]


def test_folders_are_at_most_two_deep():
    assert not [path for path in FILES if len(path.relative_to(ROOT / "src" / "dunwu").parts) > 3]


def test_nothing_in_src_swallows_every_error_without_a_word():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path.name}:{node.lineno}: bare except"
                silent = all(isinstance(statement, ast.Pass) for statement in node.body)
                caught = ast.unparse(node.type)
                assert not (silent and caught in ("Exception", "BaseException")), f"{path.name}:{node.lineno}"
