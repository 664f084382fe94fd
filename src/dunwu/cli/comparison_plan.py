"""What a comparison will ask whom, for `dunwu run --dry-run`: a column whose template is not as you think is seen here."""

from dunwu.config.asked_as import asked_as
from dunwu.config.asking import AskedModel
from dunwu.config.check import has_chat_template
from dunwu.config.comparison import ComparisonColumn, ComparisonStage, PairwiseJudge, RewardModelJudge
from dunwu.config.recipe import Recipe
from dunwu.errors import ConfigError


def comparison_plan(stage: ComparisonStage, recipe: Recipe) -> list[tuple[str, str]]:
    """List what a comparison does, and how each column's model is asked."""
    total = stage.num_problems * stage.samples_per_problem
    rows = [
        (
            "problems",
            f"{stage.num_problems:,}, {stage.samples_per_problem:,} completions of each: {total:,} for each of "
            f"{len(stage.columns):,} models, of at most {stage.sampling.max_new_tokens:,} tokens",
        )
    ]
    if stage.general is not None:
        total = stage.num_general * stage.samples_per_general
        rows.append(("general prompts", f"{stage.num_general:,}, {total:,} completions for each model"))
        rows.append(("judged by", _judge(stage)))
    rows.append(("sampled at", f"temperature {stage.sampling.temperature:g}, top-p {stage.sampling.top_p:g}"))
    return rows + [(column.label, _column(column, recipe)) for column in stage.columns]


def _column(column: ComparisonColumn, recipe: Recipe) -> str:
    try:
        asked = asked_as(column, recipe, has_chat_template)
    except ConfigError as error:
        return str(error)
    role = f", as {column.plays} in the findings" if column.plays else ", in no finding"
    answers = ", ".join(asked.answer_from)
    return (
        f"{column.model}{role}: template {asked.template.kind}, form {asked.form.kind}, answer from {answers} "
        f"({asked.why})"
    )


def _judge(stage: ComparisonStage) -> str:
    judge = stage.general_judge
    if isinstance(judge, RewardModelJudge):
        return ", ".join(f"{name} ({what})" for what, name in judge.models.items())
    if isinstance(judge, PairwiseJudge):
        asked = judge.by
        by = (
            f"the model {asked.model}"
            if isinstance(asked, AskedModel)
            else f"{asked.model} at {asked.base_url}"
        )
        return f"{by}, against {stage.baseline}"
    return "the embedded world's own truth"
