"""Everything a fine-tuning stage needs before its first step: data first, then the weights.

Mistakes in data and templates are told before weights are loaded. Called by the stage.
"""

from dataclasses import dataclass
from hashlib import blake2b

from transformers import PreTrainedTokenizerBase

from dunwu.config.sft import SftChatTemplate, SftConfig
from dunwu.data.chat import ChatForm
from dunwu.data.conversations import load_conversations
from dunwu.data.jinja_templates import chat_template_of
from dunwu.data.sft_samples import SampleSet, build_samples
from dunwu.errors import ConfigError
from dunwu.models.loading import load_tokenizer
from dunwu.models.policy import Policy
from dunwu.models.vocabulary import add_tokens, grow_embeddings, stop_at
from dunwu.runs.checkpoints import Checkpoint
from dunwu.stages.context import StageContext
from dunwu.stages.epochs import EpochSchedule
from dunwu.stages.training_run import load_stage_policy, stage_model
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.sft_state import SftState


@dataclass(frozen=True)
class SftParts:
    """The parts of a running fine-tuning stage."""

    state: SftState
    train: SampleSet
    held_out: SampleSet
    schedule: EpochSchedule


def sft_parts(config: SftConfig, context: StageContext, checkpoint: Checkpoint | None) -> SftParts:
    """Build the parts of a stage, from its start or from a checkpoint.

    Raises:
        DataError: a row that is no conversation, a sample that cannot be trained on, prompts in both sets.
        ConfigError: a template that does not serve; a sample longer than the model's positions; a warm-up that never ends.
        RunError: the data differ from those the stage began with.
    """
    conversations = load_conversations(config.data)
    model = stage_model(context, checkpoint)
    tokenizer = load_tokenizer(model.path, trust_remote_code=model.trust_remote_code)
    added = add_tokens(tokenizer, config.new_tokens)
    tokenizer.chat_template = chat_template_of(config.template, tokenizer)
    form = chat_form(config, tokenizer)
    train, held_out = (
        build_samples(part, form, max_tokens=config.max_tokens, too_long=config.too_long)
        for part in (context.clean_conversations("data", conversations.train), conversations.held_out)
    )
    _pin_data(context, tokenizer, train, held_out)
    row_tokens = config.max_tokens if config.batch_unit == "rows" else None
    schedule = EpochSchedule(config, train.lengths, context.seed, context.folder.name, row_tokens)
    schedule.require_warmup_to_end(config.optimizer.schedule.warmup_steps, "samples")
    policy = load_stage_policy(context, checkpoint)
    policy.tokenizer = tokenizer
    grow_embeddings(policy, added)
    _check_positions(policy, train, held_out)
    for token in sorted({*train.end_tokens, *held_out.end_tokens}):
        stop_at(policy, token)
    if config.batch.gradient_checkpointing:
        policy.enable_gradient_checkpointing()
    state = SftState(policy, MasterAdamW(policy.model, config.optimizer, schedule.num_steps))
    if checkpoint is not None:
        state.restore(checkpoint.path)
    return SftParts(state, train, held_out, schedule)


def chat_form(config: SftConfig, tokenizer: PreTrainedTokenizerBase) -> ChatForm:
    """Return how a stage's conversations become text with a tokenizer whose chat template is set."""
    match config.template:
        case SftChatTemplate(system=system, variables=variables, dropped_thinking=dropped):
            return ChatForm(tokenizer, config.turns, dropped, system, variables)
        case _:
            return ChatForm(tokenizer, config.turns)


def _pin_data(
    context: StageContext, tokenizer: PreTrainedTokenizerBase, train: SampleSet, held_out: SampleSet
) -> None:
    """Tie the run to the samples as they are trained on, and to the template that is saved with the model."""
    template = blake2b(str(tokenizer.chat_template).encode(), digest_size=16).hexdigest()
    context.folder.pin(
        {"train": train.fingerprint(), "held_out": held_out.fingerprint(), "template": template}
    )


def _check_positions(policy: Policy, *sets: SampleSet) -> None:
    limit = getattr(policy.config, "max_position_embeddings", None)
    for samples in sets:
        longest = int(samples.lengths.argmax())
        length = int(samples.lengths[longest])
        if limit is not None and length > limit:
            raise ConfigError(
                f"{samples.names[longest]} has {length} tokens, and the model has {limit} positions; set max_tokens to at most "
                f"{limit}, and too_long to what shall become of longer samples"
            )
