"""Rollouts for tests of the pages Rollouts and Self-evolution: a policy that learns to correct itself, and hostile text."""

from pathlib import Path

from dunwu.config.recipe import Recipe
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.runs.folder import RunFolder

HOSTILE = (
    "<think> <script>window.broken = 1</script> <img src=x onerror='window.broken = 2'> [link](javascript:alert(1)) "
    "<style>body { display: none }</style> wait & check </think> <answer> <b>4</b> </answer>"
)
CORRECTED = "<think> 7+8=16. Wait, that is wrong, 7+8=15. </think> <answer> 15 </answer>"
STEPS = 12


def rollout(sample: int, text: str, right: bool, *, cut: bool = False, detail: str = "") -> Rollout:
    """One rollout, a token for each word."""
    count = len(text.split())
    parts = {"accuracy": RewardPart(float(right), "ok", detail), "format": RewardPart(1.0)}
    completion = Completion(tuple(range(count)), (-0.5,) * count, "length" if cut else "stop")
    return Rollout(sample, completion, text, Reward(1.0 + right, parts, "15" if right else "16"))


def group(
    name: str, rollouts: list[Rollout], *, question: str, language: str = "en", kind: str = "sum"
) -> RolloutGroup:
    """A group with advantages."""
    problem = Problem(name, kind, question, "15", "numeric", language)
    mean = sum(r.reward.total or 0 for r in rollouts) / len(rollouts)
    advantages = tuple((r.reward.total or 0) - mean for r in rollouts)
    return RolloutGroup(
        Prompt(problem, f"User: {question} Assistant:", (1, 2, 3)), tuple(rollouts), advantages
    )


def groups_of(step: int) -> list[RolloutGroup]:
    """The groups of a step: one problem that is met every step, and one of its own."""
    learned = step > STEPS // 2
    again = [
        rollout(0, CORRECTED if learned else "<think> 7+8=16. </think> <answer> 16 </answer>", learned),
        rollout(
            1, f"<think> step {step}: so 16 </think> <answer> 16 </answer>", False, detail="16 is not 15"
        ),
        rollout(2, "<think> 所以 答案 是 多少 </think> <answer> 16 </answer>", False),
        rollout(
            3,
            "<think> going on and on",
            False,
            cut=True,
            detail="no <answer>...</answer> after thinking has ended",
        ),
    ]
    other = [
        rollout(i, HOSTILE if i == 0 else "<think> 八 </think> <answer> 15 </answer>", i > 0)
        for i in range(4)
    ]
    return [
        group("again", again, question="What is 7 + 8?"),
        group(f"only-{step}", other, question=f"第{step}题：<b>多少</b>？", language="zh", kind="word"),
    ]


def add_rollouts(run: RunFolder, first: int, last: int) -> None:
    """Write the rollouts of some steps of the RL stage as training does."""
    for step in range(first, last + 1):
        run.stage("r1_zero").write_rollouts(step, groups_of(step), first_step=step, last_step=step)


def add_evaluations(run: RunFolder) -> None:
    """Write two evaluations with samples."""
    for label, step, right in (("before", 0, 1), ("after", STEPS, 6)):
        samples = [rollout(i, f"<think> {label} </think> <answer> 15 </answer>", i < right) for i in range(8)]
        run.stage("r1_zero").write_evaluation(
            label, {"pass_at_1": right / 8}, [group("held", samples, question="3 * 5?")], step=step
        )


def open_run(path: Path) -> RunFolder:
    """Open a run of one RL stage for writing."""
    stage = {
        "kind": "r1_zero",
        "num_steps": STEPS,
        "steps_per_rollout": 1,
        "split_rollout_by": "prompt",
        "task": {"kind": "world"},
    }
    return RunFolder.open(
        path,
        Recipe.model_validate({"name": "small", "seed": 1, "model": {"path": "micro"}, "stages": [stage]}),
    )


def make_run(path: Path) -> Path:
    """Write the whole run."""
    with open_run(path) as run:
        run.stage("r1_zero").begin({"recipe": {}, "seed": 1, "models": {}, "data": {}})
        run.log("stage started", stage="r1_zero", num_steps=STEPS, done_steps=0)
        add_evaluations(run)
        add_rollouts(run, 1, STEPS)
    return path
