"""What the server answers to the pages Rollouts and Self-evolution, without a browser."""

import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rollout_runs import CORRECTED, HOSTILE, STEPS, make_run

STAGE = "/api/runs/small/stages/r1_zero"


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with rollouts, not to be changed."""
    return make_run(tmp_path_factory.mktemp("rollouts") / "small")


class Asker:
    """Asks a dashboard, once everything is indexed."""

    def __init__(self, base: str) -> None:
        self.base = base

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer."""
        with urllib.request.urlopen(f"{self.base}{path}?{urllib.parse.urlencode(query)}") as reply:
            return json.loads(reply.read())

    def status(self, path: str, **query: Any) -> tuple[int, str]:
        """Return the status and sentence of an answer that is an error."""
        with pytest.raises(urllib.error.HTTPError) as caught:
            self.get(path, **query)
        return caught.value.code, json.loads(caught.value.read())["error"]

    def whole(self, path: str, **query: Any) -> Any:
        """Return the answer once all files are indexed."""
        deadline = time.monotonic() + 60
        while not (answer := self.get(path, **query))["complete"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return answer


@pytest.fixture
def ask(small_run: Path, dashboard: Callable[..., str]) -> Asker:
    """A dashboard over the run, all indexed."""
    asker = Asker(dashboard(small_run))
    asker.whole(f"{STAGE}/rollouts")
    return asker


def test_stages_with_rollouts_are_listed(ask: Asker) -> None:
    assert ask.get("/api/runs/small/rollouts") == {
        "stages": [{"name": "r1_zero", "rollouts": STEPS, "evaluations": ["before", "after"]}]
    }


def test_a_page_of_rollouts_says_what_there_is_and_marks_the_texts(ask: Asker) -> None:
    answer = ask.get(f"{STAGE}/rollouts", limit=3)
    assert (answer["total"], answer["rows"], answer["first_step"], answer["last_step"]) == (
        8 * STEPS,
        8 * STEPS,
        1,
        STEPS,
    )
    assert (answer["kinds"], answer["languages"]) == (["sum", "word"], ["en", "zh"])
    first = answer["rollouts"][0]
    assert (first["step"], first["group"], first["sample"], first["correct"]) == (STEPS, 0, 0, True)
    assert "".join(piece["text"] for piece in first["pieces"]) == CORRECTED
    assert [piece["turn"] for piece in first["pieces"] if "turn" in piece] == ["wrong", "turn", "right"]


def test_filters_sorting_and_paging_reach_the_query(ask: Asker) -> None:
    def total(**query: Any) -> int:
        return int(ask.get(f"{STAGE}/rollouts", **query)["total"])

    assert total(verdict="right") == 3 * STEPS + STEPS // 2
    assert total(step=3) == 8
    assert total(step="latest") == 8
    assert total(**{"from": 2, "to": 4}) == 24
    assert total(truncated="yes") == STEPS
    assert total(mixed="yes", language="en") == STEPS
    assert total(correction="any") == STEPS // 2
    assert total(word="wait", kind="sum") == STEPS // 2
    assert total(reward_from=2) == 3 * STEPS + STEPS // 2
    assert total(tokens_to=4, problem="again") == 0
    by_length = ask.get(f"{STAGE}/rollouts", sort="tokens", order="up", limit=200)["rollouts"]
    assert [r["tokens"] for r in by_length] == sorted(r["tokens"] for r in by_length)
    assert len(ask.get(f"{STAGE}/rollouts", offset=8 * STEPS - 2)["rollouts"]) == 2


def test_groups_are_listed_once_with_all_their_samples(ask: Asker) -> None:
    answer = ask.get(f"{STAGE}/rollouts", by="group", correction="any")
    assert answer["total"] == STEPS // 2
    assert [sample["correct"] for sample in answer["groups"][0]["samples"]] == [True, False, False, False]


def test_a_search_finds_text_and_says_that_it_is_at_its_end(ask: Asker) -> None:
    answer = ask.get(f"{STAGE}/rollouts", text="<SCRIPT>")
    while answer["next"] is not None and not answer["rollouts"]:
        answer = ask.get(f"{STAGE}/rollouts", text="<SCRIPT>", offset=answer["next"])
    assert "".join(piece["text"] for piece in answer["rollouts"][0]["pieces"]) == HOSTILE


def test_a_group_says_the_graders_reason(ask: Asker) -> None:
    group = ask.get(f"{STAGE}/group", rollout=9, group=0)
    assert (group["prompt_id"], group["groups"], group["steps"]) == ("again", 2, [9, 9])
    assert group["members"][1]["parts"][0] == {
        "name": "accuracy",
        "value": 0.0,
        "status": "ok",
        "detail": "16 is not 15",
    }
    assert group["members"][0]["correction"] == {"kind": "recomputed", "reason": "7+8 is 15, not 16"}
    assert group["members"][1]["correction"] is None


def test_a_problem_is_followed_through_time_and_two_answers_compared(ask: Asker) -> None:
    history = ask.get(f"{STAGE}/problem", id="again")
    assert [visit["step"] for visit in history["visits"]] == list(range(1, STEPS + 1))
    change = ask.get(f"{STAGE}/change", old="1:0", new=f"{STEPS}:0")
    assert "".join(edit["text"] for edit in change["edits"] if edit["change"] != "removed") == CORRECTED
    assert 0 < change["likeness"] < 1
    held = ask.get(f"{STAGE}/problem", id="held", of="evaluation")
    assert [visit["label"] for visit in held["visits"]] == ["before", "after"]
    change = ask.get(f"{STAGE}/change", old="before:0", new="after:0", of="evaluation")
    assert [edit["change"] for edit in change["edits"]].count("added") == 1


def test_samples_of_an_evaluation_are_asked_by_its_label(ask: Asker) -> None:
    answer = ask.whole(f"{STAGE}/rollouts", of="evaluation", label="after")
    assert answer["total"] == 8
    assert {rollout["label"] for rollout in answer["rollouts"]} == {"after"}
    assert ask.get(f"{STAGE}/group", of="evaluation", label="before", rollout=0, group=0)["label"] == "before"


def test_self_evolution_has_curves_moments_and_held_out_levels(ask: Asker) -> None:
    answer = ask.whole(f"{STAGE}/evolution")
    assert answer["curves"]["completions"] == [8] * STEPS
    assert answer["moments"][0]["step"] == STEPS // 2 + 1
    assert answer["moments"][0]["kind"] == "recomputed"
    assert [evaluation["label"] for evaluation in answer["held_out"]["evaluations"]] == ["before", "after"]


@pytest.mark.parametrize(
    ("path", "query", "status", "sentence"),
    [
        ("rollouts", {"verdict": "maybe"}, 400, "must be one of"),
        ("rollouts", {"sort": "beauty"}, 400, "must be one of"),
        ("rollouts", {"step": "x"}, 400, "whole number"),
        ("rollouts", {"reward_from": "x"}, 400, "must be a number"),
        ("rollouts", {"limit": "0"}, 400, "from 1 to"),
        ("rollouts", {"word": "hmm"}, 409, "no reflection word"),
        ("group", {"rollout": "99", "group": "0"}, 404, "no rollout 99"),
        ("group", {"rollout": "1", "group": "99"}, 404, "no group 99"),
        ("problem", {"id": "nobody"}, 404, "nobody"),
        ("change", {"old": "1", "new": "1:0"}, 400, "a colon and a row"),
        ("change", {"old": "1:99", "new": "1:0"}, 404, "not 99"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(
    ask: Asker, path: str, query: dict[str, str], status: int, sentence: str
) -> None:
    found, text = ask.status(f"{STAGE}/{path}", **query)
    assert found == status
    assert sentence in text


def test_a_stage_that_is_no_plain_name_is_refused(ask: Asker) -> None:
    assert ask.status("/api/runs/small/stages/.analysis/rollouts")[0] == 400


def test_damaged_files_are_named_and_the_rest_is_shown(
    small_run: Path, tmp_path: Path, dashboard: Callable[..., str]
) -> None:
    path = tmp_path / "small"
    shutil.copytree(small_run, path)
    (path / "r1_zero" / "rollouts" / "rollout-000003.parquet").write_bytes(b"half a file")
    (path / "recipe.toml").write_text("no recipe")
    answer = Asker(dashboard(path)).whole(f"{STAGE}/rollouts")
    assert answer["rows"] == 8 * (STEPS - 1)
    assert len(answer["faults"]) == 1
    assert "rollout-000003.parquet" in answer["faults"][0]


def test_a_copy_shows_the_same(
    ask: Asker, small_run: Path, tmp_path: Path, dashboard: Callable[..., str]
) -> None:
    shutil.copytree(small_run, tmp_path / "small", copy_function=shutil.copy)
    other = Asker(dashboard(tmp_path / "small"))
    for path, query in (
        ("rollouts", {"limit": 200, "sort": "tokens"}),
        ("evolution", {}),
        ("rollouts", {"by": "group", "limit": 200}),
    ):
        assert other.whole(f"{STAGE}/{path}", **query) == ask.whole(f"{STAGE}/{path}", **query)
