"""A file of lines that is followed while it is written, rewound, damaged and removed."""

from pathlib import Path

from dunwu.runs.jsonl import append_line, keep_lines
from dunwu.runs.jsonl_tail import JsonlTail


def test_what_is_added_is_read_and_a_torn_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    tail = JsonlTail(path)
    assert tail.update() == []
    assert not tail.exists
    append_line(path, {"step": 1}, "x")
    assert tail.update() == [{"step": 1}]
    with path.open("ab") as file:
        file.write(b'{"step": 2')
    assert tail.update() == [{"step": 1}]
    with path.open("ab") as file:
        file.write(b"}\n")
    assert tail.update() == [{"step": 1}, {"step": 2}]
    assert tail.faults() == []


def test_a_rewound_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    tail = JsonlTail(path)
    for step in range(5):
        append_line(path, {"step": step}, "x")
    tail.update()
    epoch = tail.epoch
    keep_lines(path, lambda record: record["step"] < 2, "x")
    append_line(path, {"step": 2, "again": True}, "x")
    append_line(path, {"step": 3, "again": True}, "x")
    append_line(path, {"step": 4, "again": True}, "x")
    assert [record.get("again") for record in tail.update()] == [None, None, True, True, True]
    assert tail.epoch > epoch


def test_a_file_rewritten_in_place_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    tail = JsonlTail(path)
    tail.update()
    epoch = tail.epoch
    path.write_text('{"b": 1}\n{"b": 2}\n{"b": 3}\n')
    assert tail.update() == [{"b": 1}, {"b": 2}, {"b": 3}]
    assert tail.epoch > epoch


def test_a_file_that_is_removed_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n')
    tail = JsonlTail(path)
    tail.update()
    path.unlink()
    assert tail.update() == []
    assert tail.epoch == 2
    path.mkdir()
    tail.update()
    assert tail.faults() == [f"{path} cannot be read: Is a directory"]


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\nnonsense\n[1]\n\xff\n{"a": 2}\n')
    tail = JsonlTail(path)
    assert tail.update() == [{"a": 1}, {"a": 2}]
    assert tail.faults() == [f"{path}: lines 2, 3, 4 of 5 are not JSON objects; the others are shown"]


def test_lists_and_tables_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1, "b": [1], "c": {}, "d": "x"}\n')
    assert JsonlTail(path, shallow=True).update() == [{"a": 1, "d": "x"}]
