"""The reward model: the body of a causal LM with a head that makes one number of a conversation.

It is a plain Hugging Face sequence classifier with one label, run packed by our attention like the policy. The score is read at
the conversation's last token that is not padding, as transformers reads it, so that the folder gives the same scores there. Loads
and saves; does not train (`training`). Called by the reward-model stage, and by rewards that ask a finished one.

Shape legend: T rows of a packed row, B conversations, D hidden size.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

from dunwu.config.training import ModelConfig
from dunwu.errors import ConfigError, DataError, ModelError
from dunwu.functional.packing import PackItem, plan_rows
from dunwu.kernels.build import warn_where_missing
from dunwu.models.architecture import check_config, disable_dropout
from dunwu.models.attention import ATTENTION_NAME, register_attention
from dunwu.models.lean_layers import make_lean
from dunwu.models.loading import load_tokenizer, read_or_explain, resolve_model
from dunwu.models.packability import TOLERANCE
from dunwu.models.packed_plan import make_plan
from dunwu.models.policy import Policy
from dunwu.models.precision import DTYPES, settled, torch_device, warn_of_slow_dtype
from dunwu.records import Segment

Judged = Literal["summary", "response"]
"""What a reward model was trained to read: the final summary alone, or the whole response with its chain of thought."""
_PLAIN_START, _PLAIN_END = "User: ", "\n\nAssistant:\n"
_THINK = "<think>"
_CONFIG = "dunwu_"  # how the keys begin that we add to config.json


@dataclass(frozen=True)
class ScoreRow:
    """Conversations laid end to end, and the rows at which their scores are read."""

    token_ids_T: Tensor
    position_ids_T: Tensor
    segments: tuple[Segment, ...]
    last_B: Tensor


class RewardModel:
    """A sequence classifier with one label, its tokenizer, and the ways in which it is run."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def judges(self) -> Judged | None:
        """What it was trained to read; None for a model that dunwu has not made."""
        return self._noted("judges")

    @property
    def score_mean(self) -> float | None:
        """Mean of its scores of the held-out responses; None where that was not measured."""
        return self._noted("score_mean")

    @property
    def score_std(self) -> float | None:
        """Population standard deviation of its scores of the held-out responses; None where that was not measured."""
        return self._noted("score_std")

    def note_scores(self, mean: float, std: float) -> None:
        """Write into the configuration, and so into the saved folder, how the scores of held-out responses are spread."""
        setattr(self.model.config, _CONFIG + "score_mean", mean)
        setattr(self.model.config, _CONFIG + "score_std", std)

    def _noted(self, name: str) -> Any:
        return getattr(self.model.config, _CONFIG + name, None)

    @torch.no_grad()
    def scores(self, token_ids: Sequence[Sequence[int]], max_tokens_per_batch: int) -> list[float]:
        """Score conversations, as `conversation_ids` lays them out.

        Args:
            max_tokens_per_batch: most tokens in one forward pass; a longer conversation has one of its own, for there is no limit
                to a conversation's length (facts.md section 5).
        Returns:
            The raw scores, in the order given.
        Raises:
            DataError: a conversation without tokens (names its index).
        """
        for index, ids in enumerate(token_ids):
            if not ids:
                raise DataError(f"conversation {index} has no tokens; a score needs at least one")
        limit = max([max_tokens_per_batch, *map(len, token_ids)])
        found = [0.0] * len(token_ids)
        items = [PackItem(index, 0, len(ids)) for index, ids in enumerate(token_ids)]
        for members in plan_rows(items, limit) if items else []:
            row = self._lay_out([token_ids[index] for index in members])
            for index, score in zip(members, self.row_scores(row).tolist(), strict=True):
                found[index] = score
        return found

    def row_scores(self, row: ScoreRow) -> Tensor:
        """The scores (B,) of a row's conversations, float32, differentiable."""
        plan = make_plan(row.segments, len(row.token_ids_T), self.device)
        hidden_TD = self.model.base_model(
            input_ids=row.token_ids_T[None],
            position_ids=row.position_ids_T[None],
            use_cache=False,
            dunwu_context=plan,
        ).last_hidden_state[0]
        return _head(self.model)(hidden_TD.index_select(0, row.last_B))[:, 0].float()

    def last_place(self, token_ids: Sequence[int]) -> int:
        """The place of the token at which a conversation's score is read: its last one that is not padding.

        transformers falls back to the first place where there is nothing but padding.
        """
        padding = self.model.config.get_text_config().pad_token_id
        if padding is None:
            return len(token_ids) - 1
        return max((place for place, token in enumerate(token_ids) if token != padding), default=0)

    def enable_gradient_checkpointing(self) -> None:
        """Recompute each layer in the backward pass instead of keeping its activations."""
        self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.model.train()

    def _lay_out(self, conversations: Sequence[Sequence[int]]) -> ScoreRow:
        ends = list(accumulate(map(len, conversations), initial=0))
        return ScoreRow(
            self.tensor(list(chain.from_iterable(conversations))),
            self.tensor([place for ids in conversations for place in range(len(ids))]),
            tuple(Segment(start, end) for start, end in pairwise(ends)),
            self.tensor([end + self.last_place(ids) for end, ids in zip(ends, conversations, strict=False)]),
        )

    def tensor(self, values: Sequence[int]) -> Tensor:
        """Whole numbers on the model's device."""
        return torch.tensor(values, dtype=torch.int64, device=self.device)


def conversation_ids(tokenizer: PreTrainedTokenizerBase, question: str, response: str) -> tuple[int, ...]:
    """Lay a question and a response to it out as the reward model reads them, at training and at use.

    The question stands in the tokenizer's chat template, or in plain text where it has none; the response follows as it is, so
    that no template can drop its thinking; then the token that ends a text, unless that is padding.

    Raises:
        ConfigError: the chat template refuses or drops the question.
    """
    return question_ids(tokenizer, question) + response_ids(tokenizer, response)


def question_ids(tokenizer: PreTrainedTokenizerBase, question: str) -> tuple[int, ...]:
    """The tokens before the response. A <think> that the chat template ends with belongs to no summary, and is left out."""
    if not getattr(tokenizer, "chat_template", None):
        ids = tuple(tokenizer(_PLAIN_START + question + _PLAIN_END)["input_ids"])
        return ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids
    messages = [{"role": "user", "content": question}]
    try:
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # templates raise what they like, through jinja
        raise ConfigError(
            f"the chat template of the reward model refuses the question {question[:80]!r}: {error}"
        ) from error
    if question.strip() not in text:
        raise ConfigError(
            f"the chat template of the reward model drops or changes the question {question[:80]!r}"
        )
    opened = text.rstrip()
    if opened.endswith(_THINK):
        text = opened.removesuffix(_THINK)
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def response_ids(tokenizer: PreTrainedTokenizerBase, response: str) -> tuple[int, ...]:
    """The tokens of a response, and the one that ends a text unless it is padding."""
    end = tokenizer.eos_token_id
    tail = () if end is None or end == _padding(tokenizer) else (int(end),)
    return (*tokenizer(response, add_special_tokens=False)["input_ids"], *tail)


def _padding(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The tokenizer's padding token; where it has none or it is the end of a text, another special token in its place."""
    end = tokenizer.eos_token_id
    for token in (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id):
        if token is not None and token != end:
            return int(token)
    return None if end is None else int(end)


def make_reward_model(policy: Policy, *, judges: Judged, seed: int) -> RewardModel:
    """Give the body of a policy a reward head, drawn from the seed. The policy must not be used any more.

    The head begins as normal(0, 1 / (D + 1)) in variance.

    Raises:
        ModelError: transformers has no sequence classifier for the architecture, or one that is not known here.
    Source: Stiennon et al., "Learning to summarize from human feedback", arXiv 2009.01325, for the head's beginning.
    """
    config = policy.model.config
    kind = type(config)
    if kind not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise ModelError(
            f"transformers has no sequence classifier for {config.model_type} models, so no reward model can be made of one; "
            "start from another architecture, such as Llama or Qwen"
        )
    tokenizer = policy.tokenizer
    padding = _padding(tokenizer)
    if padding is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding)
    config.num_labels = 1
    config.get_text_config().pad_token_id = padding
    setattr(config, _CONFIG + "judges", judges)
    classifier: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[kind]
    with torch.device("meta"):
        model = classifier(config)
    body = policy.model.base_model
    setattr(model, model.base_model_prefix, body)
    width = config.get_text_config().hidden_size
    head = nn.Linear(width, 1, bias=False)
    with torch.no_grad():
        drawn = torch.randn(1, width, generator=torch.Generator().manual_seed(seed)) / (width + 1) ** 0.5
        head.weight.copy_(drawn)
    _head(model)
    model.score = head.to(device=policy.device, dtype=policy.dtype)
    return _checked(RewardModel(model.eval(), tokenizer))


def load_reward_model(config: ModelConfig, device: str | torch.device | None = None) -> RewardModel:
    """Load a sequence classifier with one label, made by dunwu or by others.

    Args:
        device: where to; None: what the configuration says.
    Raises:
        ModelError: missing or unreadable files, more labels than one, weights that are not in the files (a causal language model
            has no reward head), or an architecture that cannot be run packed.
    """
    source, remote = resolve_model(config.path), config.trust_remote_code
    settings = read_or_explain(
        lambda: AutoConfig.from_pretrained(source, trust_remote_code=remote), "configuration", source
    )
    check_config(settings, config.path)
    if settings.num_labels != 1:
        raise ModelError(
            f"{source} has {settings.num_labels} labels, and a reward model has one; give the model of a reward_model stage, "
            "or a sequence classifier with num_labels = 1"
        )
    tokenizer = load_tokenizer(config.path, trust_remote_code=remote)
    register_attention()
    loaded: Any = read_or_explain(
        lambda: AutoModelForSequenceClassification.from_pretrained(
            source,
            dtype=DTYPES[settled(config).dtype],
            attn_implementation=ATTENTION_NAME,
            trust_remote_code=remote,
            output_loading_info=True,
        ),
        "reward model",
        source,
    )
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"{source} lacks {len(missing)} of a reward model's weights ({', '.join(missing[:3])}); they would be "
            "random. Is it a sequence classifier, and complete?"
        )
    disable_dropout(model)
    make_lean(model)
    place = torch_device(config.device) if device is None else torch.device(device)
    warn_of_slow_dtype(model, model.dtype, place)
    if place.type == "cpu":
        warn_where_missing()
    model.to(place).eval()
    return _checked(RewardModel(model, tokenizer))


def save_reward_model(reward_model: RewardModel, folder: str | os.PathLike[str]) -> None:
    """Write a folder that `AutoModelForSequenceClassification.from_pretrained` and `AutoTokenizer.from_pretrained` load.

    Not atomic: the caller writes into a temporary folder and renames it.
    """
    reward_model.model.save_pretrained(folder)
    reward_model.tokenizer.save_pretrained(folder)


def _head(model: PreTrainedModel) -> nn.Linear:
    head = getattr(model, "score", None)
    if type(head) is not nn.Linear:
        raise ModelError(
            f"{type(model).__name__} has no linear layer `score` on its last hidden states, so dunwu cannot run it as a reward "
            "model"
        )
    return head


@torch.no_grad()
def _checked(reward_model: RewardModel) -> RewardModel:
    """See that packed scores are those that transformers gives for the same tokens, each conversation alone.

    The padding token's embedding is trained like any other where it stands for something else too.

    Raises:
        ModelError: they differ.
    """
    model = reward_model.model
    embeddings: Any = model.get_input_embeddings()
    embeddings.padding_idx = None
    size = embeddings.weight.shape[0]
    conversations = [[token % size for token in ids] for ids in ([3, 5, 2, 7], [11, 13, 4])]
    packed = torch.tensor(reward_model.scores(conversations, 16))
    model.set_attn_implementation("eager")
    try:
        logits = [model(input_ids=reward_model.tensor(ids)[None]).logits[0, 0] for ids in conversations]
    finally:
        model.set_attn_implementation(ATTENTION_NAME)
    own = torch.stack(logits).float().cpu()
    if not float((packed - own).abs().max()) <= TOLERANCE[model.dtype] * (1 + float(own.abs().max())):
        raise ModelError(
            f"{type(model).__name__} gives other scores in transformers ({own.tolist()}) than packed ({packed.tolist()}); it "
            "cannot be used as a reward model"
        )
    return reward_model
