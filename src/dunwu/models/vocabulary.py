"""New tokens for a policy that will be trained on them: tokenizer and embeddings grow, and generation learns where to stop.

Called by the fine-tuning stage before training; what is already there stays as it is, so that a continued run changes nothing.
"""

from collections.abc import Mapping, Sequence

import torch
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from dunwu.errors import ConfigError
from dunwu.models.architecture import count_embeddings
from dunwu.models.policy import Policy


def add_tokens(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> dict[str, list[int]]:
    """Make each text one token of a tokenizer.

    The tokens are not special ones: they stay visible where special tokens are left out of decoded text, as thinking marks
    must. Text around them keeps its white space.

    Args:
        tokens: texts; one that is a single token already is left alone.
    Returns:
        Those that were added, each with the tokens that it consisted of before.
    Raises:
        ConfigError: a text of white space alone.
    """
    if blank := [token for token in tokens if not token.strip()]:
        raise ConfigError(
            f"new_tokens holds {blank[0]!r}, which is white space alone; a token must be a word"
        )
    former = {token: list(tokenizer(token, add_special_tokens=False)["input_ids"]) for token in tokens}
    added = {token: ids for token, ids in former.items() if len(ids) > 1}
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in added])
    return added


@torch.no_grad()
def grow_embeddings(policy: Policy, added: Mapping[str, Sequence[int]]) -> None:
    """Give each token that was added to the policy's tokenizer the mean of its former tokens' embeddings, in the input and the
    output layer, which grow where they have no row for it.

    Args:
        added: what `add_tokens` returned.
    """
    if len(policy.tokenizer) > count_embeddings(policy.model):
        policy.model.resize_token_embeddings(len(policy.tokenizer), mean_resizing=False)
    layers = [policy.model.get_input_embeddings(), policy.model.get_output_embeddings()]
    for token, former in added.items():
        row = policy.tokenizer.convert_tokens_to_ids(token)
        for layer in layers:
            for values in (layer.weight, getattr(layer, "bias", None)):
                if values is not None:
                    values[row] = values[list(former)].float().mean(0).to(values.dtype)


def stop_at(policy: Policy, token: str) -> bool:
    """Let generation stop at a token, and make it one of the special tokens, which decoded completions leave out.

    It becomes the first of the generation configuration's end-of-sequence tokens: a base model's own end of sequence is most
    often another token than the one with which a chat template ends a turn.

    Returns:
        Whether generation did not stop there before.
    """
    token_id = policy.tokenizer.convert_tokens_to_ids(token)
    assert isinstance(token_id, int)
    known = policy.tokenizer.added_tokens_decoder.get(token_id)
    if known is None or not known.special:
        policy.tokenizer.add_tokens([AddedToken(token, special=True, normalized=False)], special_tokens=True)
    present = policy.eos_token_ids
    if token_id in present:
        return False
    policy.model.generation_config.eos_token_id = [token_id, *present]
    return True


def vocabulary_difference(first: PreTrainedTokenizerBase, second: PreTrainedTokenizerBase) -> str | None:
    """Say in what two tokenizers differ as far as token ids mean something else; None if every id means the same in both."""
    mine, theirs = first.get_vocab(), second.get_vocab()
    if mine == theirs:
        return None
    sizes = f"{len(mine):,} and {len(theirs):,} tokens, " if len(mine) != len(theirs) else ""
    token = next(t for t in [*mine, *theirs] if mine.get(t) != theirs.get(t))
    ids = " and ".join("missing" if of.get(token) is None else str(of[token]) for of in (mine, theirs))
    return f"{sizes}for example {token!r} is {ids}"
