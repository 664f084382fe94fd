import dataclasses

import pyarrow.parquet as pq
import pytest

from dunwu.errors import RunError
from dunwu.records import Completion, Problem
from dunwu.runs.rollout_table import StoredRollouts, read_facts, read_table, write_table


@pytest.fixture
def stored(make_group):
    return StoredRollouts(3, 5, 8, (make_group(1), make_group(2, size=3)), (make_group(3),))


@pytest.fixture
def path(tmp_path, stored):
    write_table(tmp_path / "rollout.parquet", stored)
    return tmp_path / "rollout.parquet"


def test_records_come_back_equal_with_dropped_groups_apart(path, stored):
    assert read_table(path) == stored
    assert read_facts(path) == {"index": 3, "first_step": 5, "last_step": 8}


def test_every_figure_stands_in_a_column_of_its_own(path):
    rows = pq.read_table(path).to_pylist()
    assert len(rows) == 2 + 3 + 2
    assert [row["dropped"] for row in rows] == [False] * 5 + [True] * 2
    right, cut = rows[0], rows[1]
    assert right == {
        "rollout": 3,
        "first_step": 5,
        "last_step": 8,
        "group": 0,
        "dropped": False,
        "prompt_id": "p1",
        "kind": "sum",
        "language": "zh",
        "grader": "exact",
        "question": "1 + 1 = [bold]?",
        "prompt": "Q: 1 + 1",
        "prompt_token_ids": [1, 2, 3],
        "reference": "2",
        "sample_index": 0,
        "completion": "顿悟 0",
        "token_ids": [10, 0],
        "logprobs": [-1.5, -0.25],
        "finish_reason": "stop",
        "num_tokens": 2,
        "sum_logprob": -1.75,
        "reward": 1.25,
        "answer": "2",
        "correct": True,
        "advantage": 0.5,
        "part.accuracy.value": 1.0,
        "part.accuracy.status": "ok",
        "part.accuracy.detail": "",
        "part.format.value": 0.25,
        "part.format.status": "ok",
        "part.format.detail": "late",
    }
    assert (cut["reward"], cut["correct"], cut["advantage"], cut["answer"]) == (None, None, None, None)
    assert (cut["part.accuracy.status"], cut["part.accuracy.detail"]) == ("not_gradable", "no number")
    assert cut["part.format.status"] is None


def test_log_probs_keep_every_bit(tmp_path, make_group):
    group = make_group()
    values = (-0.1, -1e-300, float("-inf"), -0.0)
    odd = dataclasses.replace(group.rollouts[0], completion=Completion((1, 2, 3, 4), values, "stop"))
    group = dataclasses.replace(group, rollouts=(odd, group.rollouts[1]))
    write_table(tmp_path / "r", StoredRollouts(1, 1, 1, (group,)))
    back = read_table(tmp_path / "r").groups[0].rollouts[0].completion.logprobs
    assert [value.hex() for value in back] == [value.hex() for value in values]


def test_the_metadata_of_the_task_is_not_stored(tmp_path, make_group):
    group = make_group()
    problem = dataclasses.replace(group.prompt.problem, metadata={"scorer": object()})
    group = dataclasses.replace(group, prompt=dataclasses.replace(group.prompt, problem=problem))
    write_table(tmp_path / "r", StoredRollouts(1, 1, 1, (group,)))
    back = read_table(tmp_path / "r").groups[0].prompt.problem
    assert back == Problem("p1", "sum", "1 + 1 = [bold]?", "2", "exact", "zh")


def test_equal_records_give_equal_bytes(path, stored, tmp_path):
    write_table(tmp_path / "again", stored)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_no_groups_at_all_can_be_written(tmp_path):
    write_table(tmp_path / "r", StoredRollouts(1, 1, 1, ()))
    assert read_table(tmp_path / "r").groups == ()


def test_advantages_must_be_as_many_as_rollouts(tmp_path, make_group):
    group = dataclasses.replace(make_group(), advantages=(1.0,))
    with pytest.raises(ValueError, match="'p1' has 2 rollouts and 1 advantages"):
        write_table(tmp_path / "r", StoredRollouts(1, 1, 1, (group,)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"absent\.parquet cannot be read"):
        read_table(tmp_path / "absent.parquet")


@pytest.mark.parametrize("spoil", [lambda d: d[:-20], lambda d: d[:30] + b"\xff" * 30 + d[60:]])
def test_a_damaged_file_is_named(path, spoil):
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(RunError, match=r"rollout\.parquet cannot be read"):
        read_table(path)


def test_one_flipped_byte_of_a_page_is_never_read_as_other_figures(path, stored):
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    refused = 0
    for place in range(4, footer, 23):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            back = read_table(path)
        except RunError:
            refused += 1
        else:
            assert back.groups == stored.groups
    assert refused > footer / 23 / 2


def test_a_missing_column_is_named(path):
    pq.write_table(pq.read_table(path).drop_columns(["grader"]), path)
    with pytest.raises(RunError, match="no column grader"):
        read_table(path)


def test_a_parquet_file_of_someone_else_is_named(tmp_path):
    import pyarrow as pa

    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(RunError, match=r"other\.parquet cannot be read"):
        read_facts(tmp_path / "other.parquet")
