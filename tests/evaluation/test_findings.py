"""The paper's findings looked for in hand-made tables: which claims are looked at, and what they come to."""

from dunwu.evaluation.comparison import MeasuredColumn
from dunwu.evaluation.findings import CLAIMS, FAR, find

NAMES = [str(i) for i in range(200)]


def column(role: str, **shares: float) -> MeasuredColumn:
    """A column whose scores have these means; the first problems are the right ones."""
    scores = {
        row: {name: float(i < share * len(NAMES)) for i, name in enumerate(NAMES)}
        for row, share in shares.items()
    }
    return MeasuredColumn(role.upper(), role, scores)


def verdicts(*columns: MeasuredColumn) -> dict[str, str]:
    return {finding["key"]: finding["verdict"] for finding in find(columns)}


def test_only_claims_whose_columns_are_there_are_looked_at() -> None:
    assert find([column("r1", accuracy=0.5)]) == []
    assert set(verdicts(column("base", accuracy=0.1), column("r1_zero", accuracy=0.5))) == {
        "r1_zero_above_base"
    }
    everyone = [column(role, accuracy=0.5, readability=0.5, language=0.5) for role in ROLES]
    assert set(verdicts(*everyone)) == {claim.key for claim in CLAIMS}


ROLES = ("base", "r1_zero", "dev1", "dev2", "dev3", "r1", "distilled", "small_rl")


def test_far_means_more_than_the_margin() -> None:
    base = column("base", accuracy=0.2)
    assert verdicts(base, column("r1_zero", accuracy=0.6)) == {"r1_zero_above_base": "holds"}
    near = find([base, column("r1_zero", accuracy=0.22)])
    assert near[0]["verdict"] == "does not hold"
    assert near[0]["checks"][0]["margin"] == FAR
    assert verdicts(base, column("r1_zero", accuracy=0.31)) == {"r1_zero_above_base": "undecided"}


def test_what_got_worse_is_told_as_not_holding() -> None:
    worse = find([column("r1_zero", readability=0.9), column("dev1", readability=0.4)])
    assert [(f["key"], f["verdict"]) for f in worse] == [("cold_start_readability", "does not hold")]
    check = worse[0]["checks"][0]
    assert (check["first"], check["second"]) == ("DEV1", "R1_ZERO")
    assert check["difference"] == -0.5
    assert check["low"] <= -0.5 <= check["high"] < 0


def test_the_language_reward_may_cost_a_little_and_no_more() -> None:
    before = column("dev1", accuracy=0.8, language=0.7)
    assert verdicts(before, column("dev2", accuracy=0.79, language=0.95)) == {"language_reward": "holds"}
    assert verdicts(before, column("dev2", accuracy=0.6, language=0.95)) == {
        "language_reward": "does not hold"
    }
    assert verdicts(before, column("dev2", accuracy=0.9, language=0.7)) == {"language_reward": "undecided"}
    assert verdicts(column("dev1", accuracy=0.5), column("dev2", accuracy=0.5)) == {
        "language_reward": "undecided"
    }


def test_best_overall_weighs_reasoning_helpfulness_and_harmlessness_alike() -> None:
    r1 = column("r1", accuracy=0.8, helpfulness=0.9, harmlessness=0.9)
    dev3 = column("dev3", accuracy=0.85, helpfulness=0.5, harmlessness=0.5)
    found = find([dev3, r1])
    assert found[0]["verdict"] == "holds"
    check = found[0]["checks"][0]
    assert check["rows"] == ["accuracy", "helpfulness", "harmlessness"]
    assert abs(check["difference"] - (-0.05 + 0.4 + 0.4) / 3) < 1e-12
    assert check["num_problems"] == 3 * len(NAMES)
    found = find([dev3, r1, column("base", accuracy=0.99)])  # nothing general was asked of it
    assert found[0]["verdict"] == "does not hold"
    assert [check["rows"] for check in found[0]["checks"]] == [
        ["accuracy"],
        ["accuracy", "helpfulness", "harmlessness"],
    ]


def test_a_column_without_a_role_is_in_no_finding() -> None:
    plain = MeasuredColumn("R1-Zero", None, column("r1_zero", accuracy=0.9).scores)
    assert find([plain, column("base", accuracy=0.1)]) == []
