"""The results file: merged, dated, never half-written; the goals that are read from it; its pictures."""

import json
from pathlib import Path
from typing import Any

from benchmarks.goals import GOALS, goal_rows, goal_table
from benchmarks.pictures import PICTURES, draw_all
from benchmarks.record import LATEST, note_seconds, read, record
from benchmarks.suite import BENCHMARKS


def test_record_keeps_what_others_have_written(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    record(path, "one_vs_peer", {"a": 1}, {"one_vs_peer": 2.0})
    record(path, "two", {"b": 2}, {"two_vs_peer": 1.23456, "two_vs_other": 4.0})
    note_seconds(path, "two", 12.34)
    record(path, "one_vs_peer", {"a": 4}, {"one_vs_peer": 3.0})
    record(path, "three", {"c": 5})
    held = json.loads(path.read_text())
    assert held["ratios"] == {"one_vs_peer": 3.0, "two_vs_peer": 1.235, "two_vs_other": 4.0}
    assert set(held["measured_at"]) == set(held["ratios"])
    assert held["wall_seconds"] == {"two": 12.3}
    assert {name: set(figures) - {"measured_at"} for name, figures in held["figures"].items()} == {
        "one_vs_peer": {"a"},
        "two": {"b"},
        "three": {"c"},
    }
    assert held["figures"]["one_vs_peer"]["a"] == 4
    assert all(figures["measured_at"].endswith("Z") for figures in held["figures"].values())
    assert [p.name for p in path.parent.iterdir()] == ["latest.json"]


def test_a_file_of_an_older_form_has_all_sections(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    path.write_text('{"ratios": {"old": 1.0}}')
    assert read(path) == {"ratios": {"old": 1.0}, "measured_at": {}, "wall_seconds": {}, "figures": {}}


def test_every_goal_of_a_ratio_names_one_that_a_benchmark_measures() -> None:
    ratios = {name: 9.0 for benchmark in BENCHMARKS for name in benchmark.ratios}
    met = [row for row in goal_rows({"ratios": ratios, "figures": {}}) if row[3] == "yes"]
    assert len(met) == len([goal for goal in GOALS if "times" in goal.text]) == 7


def test_goals_are_met_missed_or_not_measured() -> None:
    held: dict[str, Any] = {
        "ratios": {"grpo_step_vs_trl": 2.5, "sft_vs_trl": 2.0},
        "figures": {
            "generate64": {"cells": {"one": {"share_of_matmul_bound": {"dunwu": 0.71}}}},
            "logprob_memory": {"flatness": {"scoring": 0.02, "training": 0.2}},
        },
    }
    rows = {text: (limit, measured, met) for text, limit, measured, met in goal_rows(held)}
    assert rows["GRPO step, times TRL's speed"] == (">= 3", "2.50", "no")
    assert rows["SFT, times TRL's speed"] == (">= 2", "2.00", "yes")
    assert rows["generation of 64, share of its matrix products' bound"] == (">= 0.7", "0.71", "yes")
    assert rows["log-prob memory in scoring, +- over the vocabulary"] == ("<= 0.1", "0.02", "yes")
    assert rows["log-prob memory in training, +- over the vocabulary"][2] == "no"
    assert rows["step time over tokens of a completion, exponent"] == ("<= 1.05", "", "not measured")
    assert len(goal_table(held).splitlines()) == 1 + len(GOALS)


def test_pictures_are_drawn_of_what_is_there(tmp_path: Path) -> None:
    def cell(sequences: int, sentences: int) -> dict[str, Any]:
        return {
            "num_sequences": sequences,
            "sentences": sentences,
            "temperature": 1.0,
            "tokens_per_second": {"dunwu": 10.0 * sequences, "vLLM": 8.0 * sequences},
            "matmul_bound": {"tokens_per_second": 20.0 * sequences},
        }

    def point(method: str, kind: str, vocabulary: int) -> dict[str, Any]:
        return {"method": method, "kind": kind, "vocabulary": vocabulary, "beyond_gradient_bytes": 5 << 20}

    times = {
        "step_seconds": 1.0,
        "generation_seconds": 0.5,
        "training_seconds": 0.5,
        "peak_rss_bytes": 1 << 30,
    }
    curve = {"over": "size", "points": [{"size": size, **times} for size in (1, 2)], "exponents": times}
    figures = {
        "generate_grid": {"cells": {str(i): cell(*of) for i, of in enumerate([(1, 0), (16, 0), (1, 40)])}},
        "logprob_memory": {
            "points": [
                point(m, k, v)
                for m in ("dunwu", "full logits")
                for k in ("scoring", "training")
                for v in (8, 9)
            ]
        },
        "scaling": {"curves": {"length": curve}},
    }
    assert draw_all({"ratios": {}, "figures": {}}, tmp_path) == []
    drawn = draw_all({"ratios": {"a_vs_b": 2.0}, "figures": figures}, tmp_path)
    assert [path.stem for path in drawn] == [name for name, _, _ in PICTURES]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_the_published_file_is_read() -> None:
    held = read(LATEST)
    assert held["ratios"]["grpo_step_vs_trl"] > 0
    assert {row[3] for row in goal_rows(held)} <= {"yes", "no", "not measured"}
