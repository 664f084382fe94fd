import pytest

from dunwu.errors import RunError
from dunwu.runs.jsonl import append_line, cut_torn_line, keep_lines, read_lines


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new" / "metrics.jsonl"
    for step in (1, 2, 3):
        append_line(path, {"step": step, "text": "a\nb\u2028"}, "metrics")
    return path


def test_lines_come_back_in_order(path):
    assert read_lines(path) == [{"step": step, "text": "a\nb\u2028"} for step in (1, 2, 3)]
    assert path.read_bytes().count(b"\n") == 3


def test_no_file_is_no_lines(tmp_path):
    assert read_lines(tmp_path / "absent") == []
    cut_torn_line(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("cut", [1, 2, 10])
def test_a_torn_last_line_is_passed_over_and_cut(path, cut):
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert [record["step"] for record in read_lines(path)] == [1, 2]
    cut_torn_line(path)
    append_line(path, {"step": 3, "text": "a\nb\u2028"}, "metrics")
    assert path.read_bytes() == whole


@pytest.mark.parametrize("bad", [b"{nonsense}\n", b"3\n"])
def test_damage_before_the_end_is_an_error_that_names_the_line(path, bad):
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first + b"\n" + bad + rest)
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 2 is not a JSON object"):
        read_lines(path)


def test_keep_lines_leaves_the_bytes_of_a_file_that_never_had_the_others(path):
    two = b"".join(path.read_bytes().splitlines(keepends=True)[:2])
    keep_lines(path, lambda record: record["step"] <= 2, "metrics")
    assert path.read_bytes() == two


def test_keep_lines_does_not_write_when_all_stay(path):
    before = path.stat().st_mtime_ns, path.stat().st_ino
    keep_lines(path, lambda record: True, "metrics")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
