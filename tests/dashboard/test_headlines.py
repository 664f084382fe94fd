"""The few figures of a stage that matter, and its small curve."""

from dunwu.dashboard.headlines import headlines, spark


def test_held_out_figures_are_told_with_what_they_were_and_their_interval() -> None:
    before = {"pass_at_1": 0.2, "cons_at_16": 0.5, "cons_at_16_interval": [0.4, 0.6], "length_mean": 20.0}
    after = {"pass_at_1": 0.9, "pass_at_1_interval": [0.8, 0.95], "cons_at_16": 0.98, "length_mean": 70.0}
    first, second, third = headlines({"before": before, "after": after}, {"accuracy": 0.1})
    assert first == {
        "label": "right, held out", "unit": "share", "value": 0.9, "before": 0.2, "low": 0.8, "high": 0.95
    }  # fmt: skip
    assert (second["label"], second["value"], second["low"]) == ("majority of 16", 0.98, None)
    assert (third["label"], third["before"], third["value"]) == ("tokens", 20.0, 70.0)


def test_each_kind_of_stage_has_its_own() -> None:
    assert [f["label"] for f in headlines({"after": {"nll": 0.1, "token_accuracy": 0.9}}, None)] == [
        "loss, held out",
        "right tokens",
    ]
    assert (
        headlines({"before": {"accuracy": 0.5}, "after": {"accuracy": 0.8}}, None)[0]["label"]
        == "ranked rightly, held out"
    )
    assert [(f["label"], f["value"]) for f in headlines({"rows": 5, "samples": 9}, None)] == [
        ("rows", 5),
        ("samples", 9),
    ]
    assert [(f["label"], f["value"]) for f in headlines({"columns": [1, 2], "findings": [1]}, None)] == [
        ("models", 2),
        ("findings", 1),
    ]


def test_while_a_stage_runs_its_last_step_is_told_and_before_that_nothing() -> None:
    assert [f["label"] for f in headlines(None, {"accuracy": 0.5, "reward": 1.5, "length_mean": 9, "nll": 1})] == [
        "right answers", "reward", "tokens"
    ]  # fmt: skip
    assert headlines(None, {"accuracy": None}) == []
    assert headlines(None, None) == []
    assert headlines({"before": "x", "after": [1]}, None) == []


def test_a_long_curve_is_told_in_sixty_means() -> None:
    found = spark([{"accuracy": i / 1200} for i in range(1200)])
    assert found is not None
    assert found["key"] == "accuracy"
    assert len(found["values"]) == 60
    assert found["values"][0] == 0.0079167
    assert spark([{"accuracy": None, "nll": 2.0}, {"nll": 1.0}]) == {"key": "nll", "values": [2.0, 1.0]}
    assert spark([{"nll": 1.0}]) is None
