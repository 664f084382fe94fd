"""What a stage that makes preference data or trains a reward model will do, for `dunwu run --dry-run`."""

from dunwu.config.asking import AskedEndpoint, AskedModel
from dunwu.config.preference_data import PreferenceDataStage, WorldJudge
from dunwu.config.reward_model import RewardModelStage


def preference_data_plan(stage: PreferenceDataStage) -> list[tuple[str, str]]:
    """Return rows of what and how much."""
    prompts = stage.num_prompts or getattr(stage.task, "num_train", None)
    models = (stage.start, *stage.models)
    each = len(models) * stage.samples_per_prompt
    asked = "all training problems" if prompts is None else f"{prompts:,}"
    total = "" if prompts is None else f", {prompts * each:,} in all"
    judge = stage.judge
    return [
        ("prompts", f"{asked}, {stage.prompts_per_chunk:,} at once"),
        ("models", ", ".join(models)),
        (
            "responses",
            f"{stage.samples_per_prompt:,} of each model to each prompt{total}, of at most "
            f"{stage.sampling.max_new_tokens:,} tokens",
        ),
        (
            "pairs",
            f"at most {stage.pairs_per_prompt:,} of a helpful prompt, {judge.num_queries:,} verdicts each",
        ),
        ("kept", f"pairs with a margin over {judge.min_margin:g}; labelled responses to safety prompts"),
        ("judged by", _judge(judge.by)),
    ]


def _judge(by: WorldJudge | AskedModel | AskedEndpoint) -> str:
    match by:
        case WorldJudge(noise=noise):
            return f"the embedded world's rules, {100 * noise:g} % of the verdicts at random"
        case AskedModel(model=model):
            return f"the model {model}"
        case AskedEndpoint(model=model, base_url=url):
            return f"{model} at {url}"


def reward_model_plan(stage: RewardModelStage) -> list[tuple[str, str]]:
    """Return rows of what and how much."""
    limit = f", at most {stage.max_steps:,} steps" if stage.max_steps else ""
    data = stage.data
    return [
        ("loss", f"{stage.loss}, on the {'summary' if stage.loss == 'pairwise' else 'whole response'}"),
        ("epochs", f"{stage.num_epochs:,}{limit}"),
        ("batch", f"{stage.batch_size:,} rows with conversations of at most {stage.max_tokens:,} tokens"),
        ("trained on", ", ".join(data.train)),
        ("held out", ", ".join(data.held_out or (f"at least {data.num_held_out:,} of them",))),
    ]
