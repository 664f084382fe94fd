"""The repetition penalty: how much of a completion is n-grams that it wrote before."""

import regex

from dunwu.config.shaping import RepetitionReward
from dunwu.functional.prose import compatible
from dunwu.records import RewardPart
from dunwu.rewards.item import GradingItem

_UNIT = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]|[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*|\p{N}+|[^\s\p{L}\p{N}]"
)


def repetition_part(item: GradingItem, config: RepetitionReward) -> RewardPart:
    """Return a penalty for n-grams that occur again.

        value = max_penalty * (1 - different n-grams / n-grams)

    over the whole completion, marks included. Units are words in small letters, single characters of scripts without spaces,
    numbers and single signs. A completion of fewer than n units repeats nothing: 0.

    Source: Yeo et al., Demystifying Long Chain-of-Thought Reasoning (arXiv 2502.03373), appendix C.2.
    Departures: there the units are tokens and each repeated token is penalised; here one value is for the completion, as in TRL
        and open-r1. open-r1 cuts at white space, so that Chinese text of any length is one word and repeats nothing; in TRL the
        units are tokens, so that the same text has another value under another tokenizer.
    """
    units = _UNIT.findall(compatible(item.text).lower())
    ngrams = list(zip(*(units[start:] for start in range(config.ngram_size)), strict=False))
    num_repeated = len(ngrams) - len(set(ngrams))
    if num_repeated == 0:
        return RewardPart(0.0)
    detail = f"{num_repeated} of {len(ngrams)} {config.ngram_size}-grams occurred before"
    return RewardPart(config.max_penalty * num_repeated / len(ngrams), detail=detail)
