"""The endless prompt order: whole passes, repeatable from any position."""

from dunwu.records import Problem, Prompt
from dunwu.training.prompt_order import draw_prompts

PROMPTS = [Prompt(Problem(str(i), "sum", "q", "1", "numeric"), "q", (i,)) for i in range(10)]


def test_each_pass_holds_every_prompt_once_in_another_order() -> None:
    drawn = draw_prompts(PROMPTS, 0, 30, run_seed=1, stage="s")
    passes = [drawn[0:10], drawn[10:20], drawn[20:30]]
    assert all(sorted(p.problem.id for p in one) == sorted(map(str, range(10))) for one in passes)
    assert passes[0] != passes[1] != passes[2]


def test_any_position_can_be_drawn_alone() -> None:
    drawn = draw_prompts(PROMPTS, 0, 25, run_seed=1, stage="s")
    assert draw_prompts(PROMPTS, 8, 5, run_seed=1, stage="s") == drawn[8:13]


def test_seed_and_stage_change_the_order() -> None:
    drawn = draw_prompts(PROMPTS, 0, 10, run_seed=1, stage="s")
    assert drawn != draw_prompts(PROMPTS, 0, 10, run_seed=2, stage="s")
    assert drawn != draw_prompts(PROMPTS, 0, 10, run_seed=1, stage="t")
