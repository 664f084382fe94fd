import math

import pytest

from dunwu.analysis.index_store import StageIndex
from dunwu.analysis.rollout_query import (
    SORTS,
    RolloutFilter,
    file_of,
    first_of_each_group,
    matching,
    ordered,
    page,
    read_group,
    read_rows,
    search,
    visits,
)
from dunwu.errors import RunError

TEXTS = {  # by sample: what each filter is to find
    0: "<think> 2+2=5. Wait, 2+2=4. </think> <answer> 4 </answer>",
    1: "我们 算一算 答案 是四",
    2: "cut off before the end",
    3: "plain 5",
}


@pytest.fixture
def snapshot(run, make_rollout, make_group):
    """Three steps; the problem "again" is met at steps 1 and 3."""
    for step in (1, 2, 3):
        members = [
            make_rollout(0, TEXTS[0], True, answer="4", tokens=10 * step),
            make_rollout(1, TEXTS[1], False, tokens=5),
            make_rollout(2, TEXTS[2], False, cut=True, tokens=100, reward=-0.5),
            make_rollout(3, TEXTS[3], None, tokens=7),
        ]
        name = "again" if step != 2 else "once"
        first = make_group(name, members)
        second = make_group(
            f"zh{step}",
            members[:1],
            language="zh",
            kind="word",
            question="多少？ Needle" if step == 2 else "多少？",
        )
        run.rollouts(step, [first], dropped=[second], steps=(2 * step - 1, 2 * step))
    return StageIndex(run.path, "zero").complete_snapshot()


def count(snapshot, **wanted):
    return len(matching(snapshot, RolloutFilter(**wanted)))


def test_each_filter_finds_its_rollouts(snapshot):
    assert snapshot.num_rows == 15
    assert count(snapshot) == 15
    assert count(snapshot, verdict="right") == 6
    assert count(snapshot, verdict="wrong") == 6
    assert count(snapshot, verdict="ungraded") == 3
    assert count(snapshot, truncated=True) == 3
    assert count(snapshot, truncated=False) == 12
    assert count(snapshot, dropped=True) == 3
    assert count(snapshot, language="zh") == 3
    assert count(snapshot, kind="word", verdict="wrong") == 0
    assert count(snapshot, language="fr") == 0
    assert count(snapshot, word="wait") == 6
    assert count(snapshot, word="any", verdict="wrong") == 0
    assert count(snapshot, word="mistake") == 0
    assert count(snapshot, mixed=True) == 3  # Chinese on an English question; one foreign word alone is none
    assert count(snapshot, correction="recomputed") == 6
    assert count(snapshot, correction="any") == 6
    assert count(snapshot, correction="restated") == 0
    assert count(snapshot, tokens=(10, 30)) == 6
    assert count(snapshot, reward=(None, 0)) == 6
    assert count(snapshot, reward=(0.5, None), tokens=(None, 10)) == 2
    assert count(snapshot, prompt_id="again") == 8
    assert count(snapshot, first_step=3, last_step=4) == 5
    assert count(snapshot, last_step=3) == 10


@pytest.mark.parametrize("wanted", [{"verdict": "maybe"}, {"word": "hmm"}, {"correction": "magic"}])
def test_what_cannot_be_is_refused(snapshot, wanted):
    with pytest.raises(RunError, match="there are"):
        count(snapshot, **wanted)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [True, False])
def test_sorting_agrees_with_a_plain_sort(snapshot, sort, descending):
    rows = ordered(snapshot, RolloutFilter(), sort, descending=descending).tolist()
    assert sorted(rows) == list(range(15))
    if sort == "step":
        values = [int(snapshot.file_of_row[row]) for row in rows]
    else:
        values = [float(snapshot.column(sort)[row]) for row in rows]
        missing = [math.isnan(value) for value in values]
        assert missing == sorted(missing)  # what has none comes last, whichever way
        values = [value for value in values if not math.isnan(value)]
    assert values == sorted(values, reverse=descending)


def test_pages_are_pieces_of_the_whole(snapshot):
    whole = ordered(snapshot, RolloutFilter(), "tokens", descending=True).tolist()
    pieces = [
        page(snapshot, RolloutFilter(), sort="tokens", offset=offset, limit=4) for offset in range(0, 16, 4)
    ]
    assert [row for piece in pieces for row in piece.rows] == whole
    assert {piece.total for piece in pieces} == {15}


def test_rows_are_read_in_the_order_that_was_asked_for(snapshot):
    records = read_rows(snapshot, [14, 0, 1], ["completion", "num_tokens"])
    assert [record["num_tokens"] for record in records] == [30, 10, 5]
    assert records[2]["completion"] == TEXTS[1]
    assert [(record["file"].number, record["row"]) for record in records] == [(3, 4), (1, 0), (1, 1)]


def test_a_search_finds_completions_questions_and_problems(snapshot):
    assert len(search(snapshot, RolloutFilter(text="BEFORE the")).rows) == 3
    assert len(search(snapshot, RolloutFilter(text="needle")).rows) == 1
    assert len(search(snapshot, RolloutFilter(text="once")).rows) == 4
    assert search(snapshot, RolloutFilter(text="before", verdict="right")).rows == ()
    assert len(search(snapshot, RolloutFilter(text="答案")).rows) == 3


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(("limit", "seconds"), [(1, 9.0), (2, 9.0), (30, 0.0)])
def test_a_search_goes_on_where_it_stopped(snapshot, newest_first, limit, seconds):
    wanted = RolloutFilter(text="2+2")
    whole = search(snapshot, wanted, newest_first=newest_first, seconds=9).rows
    found, offset, calls = [], 0, 0
    while offset is not None:
        part = search(
            snapshot, wanted, newest_first=newest_first, offset=offset, limit=limit, seconds=seconds
        )
        found += part.rows
        offset, calls = part.next_offset, calls + 1
        assert len(part.rows) <= limit
    assert tuple(found) == whole
    assert part.searched == 1
    assert len(whole) == 6
    assert calls >= 3


def test_a_group_is_read_with_what_led_to_its_advantages(snapshot):
    file, place = file_of(snapshot, 2)
    assert snapshot.files[place].first_step == 3
    members, num_groups = read_group(file.path, 0)
    assert num_groups == 2
    assert [member["advantage"] for member in members] == [0.5, -0.5, -1.0, None]
    assert members[3]["part.accuracy.detail"] == "the reference cannot be read"
    assert "logprobs" not in members[0]
    with pytest.raises(RunError, match="no group 7"):
        read_group(file.path, 7)
    with pytest.raises(RunError, match="no rollout 9"):
        file_of(snapshot, 9)


@pytest.mark.parametrize("sort", ["step", "tokens"])
def test_each_group_is_met_once_whatever_the_order(snapshot, sort):
    rows = ordered(snapshot, RolloutFilter(), sort, descending=True)
    keys = [(int(snapshot.file_of_row[row]), int(snapshot.column("group")[row])) for row in rows]
    expected = [place for place, key in enumerate(keys) if key not in keys[:place]]
    assert first_of_each_group(snapshot, rows).tolist() == expected
    assert len(expected) == 6
    assert first_of_each_group(snapshot, rows[:0]).tolist() == []


def test_a_problem_through_time(snapshot):
    found = visits(snapshot, "again")
    assert [len(members) for members in found] == [4, 4]
    assert [int(snapshot.file_of_row[members[0]]) for members in found] == [0, 2]
    assert visits(snapshot, "never") == []
