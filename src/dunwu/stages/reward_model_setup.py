"""Everything a reward-model stage needs before its first step: rows first, then the weights. Called by the stage."""

from dataclasses import dataclass

from dunwu.config.reward_model import RewardModelStage
from dunwu.data.preferences import PreferenceRow, PreferenceSets, load_preferences
from dunwu.errors import ConfigError
from dunwu.functional.seeds import derive_seed
from dunwu.models.loading import load_policy
from dunwu.models.reward_model import RewardModel, load_reward_model, make_reward_model
from dunwu.runs.checkpoints import Checkpoint
from dunwu.stages.context import StageContext
from dunwu.stages.decontamination import Sample
from dunwu.stages.epochs import EpochSchedule
from dunwu.stages.training_run import stage_model
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.reward_model_state import RewardModelState
from dunwu.training.reward_samples import RewardSamples, build_samples


@dataclass(frozen=True)
class RewardModelParts:
    """The parts of a running reward-model stage."""

    state: RewardModelState
    train: RewardSamples
    held_out: RewardSamples
    schedule: EpochSchedule


def reward_model_parts(
    config: RewardModelStage, context: StageContext, checkpoint: Checkpoint | None
) -> RewardModelParts:
    """Build the parts of a stage, from its start or from a checkpoint.

    Raises:
        DataError: rows that cannot be learned from.
        ConfigError: a conversation longer than the model's positions; a warm-up that never ends.
        RunError: the rows differ from those the stage began with.
    """
    sets = load_preferences(config.data, config.loss)
    rows = _clean(sets, context)
    reward_model = _open(config, context, checkpoint)
    train, held_out = (build_samples(part, reward_model.tokenizer, config) for part in (rows, sets.held_out))
    context.folder.pin({"train": train.fingerprint(), "held_out": held_out.fingerprint()})
    schedule = EpochSchedule(config, train.lengths, context.seed, context.folder.name)
    schedule.require_warmup_to_end(config.optimizer.schedule.warmup_steps, "rows")
    _check_positions(reward_model, train, held_out)
    if config.batch.gradient_checkpointing:
        reward_model.enable_gradient_checkpointing()
    optimizer = MasterAdamW(reward_model.model, config.optimizer, schedule.num_steps)
    state = RewardModelState(reward_model, optimizer)
    if checkpoint is not None:
        state.restore(checkpoint.path)
    return RewardModelParts(state, train, held_out, schedule)


def _clean(sets: PreferenceSets, context: StageContext) -> tuple[PreferenceRow, ...]:
    samples = [Sample([row.question], row.responses, f"{row.where}: {row.question}") for row in sets.train]
    removed = context.clean_samples("data", samples)
    return tuple(row for index, row in enumerate(sets.train) if index not in removed)


def _open(config: RewardModelStage, context: StageContext, checkpoint: Checkpoint | None) -> RewardModel:
    model = stage_model(context, checkpoint)
    if checkpoint is not None:
        return load_reward_model(model)
    judges = "summary" if config.loss == "pairwise" else "response"
    seed = derive_seed(context.seed, context.folder.name, "head")
    return make_reward_model(load_policy(model), judges=judges, seed=seed)  # type: ignore[arg-type]


def _check_positions(reward_model: RewardModel, *sets: RewardSamples) -> None:
    limit = getattr(reward_model.model.config, "max_position_embeddings", None)
    for samples in sets:
        longest = samples.samples[int(samples.lengths.argmax())]
        if limit is not None and longest.longest > limit:
            raise ConfigError(
                f"{longest.where} has a conversation of {longest.longest} tokens, and the model has {limit} positions; set "
                f"max_tokens to at most {limit}"
            )
