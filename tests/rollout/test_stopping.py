"""Stop strings end at the first token that completes them, however they are spelt."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dunwu.rollout.stopping import StopStrings


@pytest.fixture
def merging_tokenizer():
    """Byte tokens, and the merged tokens `</` , `wer>` and `>x`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: i for i, letter in enumerate([*alphabet, "</", "we", "wer", "wer>", ">x"])}
    merges = [("<", "/"), ("w", "e"), ("we", "r"), ("wer", ">"), (">", "x")]
    core = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core)


def stops_at(stop, token_ids):
    """Index of the token at which a completion ends, by both of the doors that the engine uses; None if it does not."""
    for n in range(1, len(token_ids) + 1):
        if stop.candidates(np.array(token_ids[n - 1 : n])) and stop.ends(token_ids[:n]):
            return n - 1
    return None


def test_byte_by_byte(tiny_tokenizer):
    stop = StopStrings(("</answer>",), tiny_tokenizer)
    ids = tiny_tokenizer("<answer>7</answer> and more").input_ids
    assert stops_at(stop, ids) == len("<answer>7</answer>") - 1


def test_merged_tokens(merging_tokenizer):
    stop = StopStrings(("</answer>",), merging_tokenizer)
    ids = merging_tokenizer("7</answer> tail").input_ids
    assert merging_tokenizer.decode(ids[stops_at(stop, ids)]) == "wer>"


def test_a_string_that_ends_inside_a_token(merging_tokenizer):
    stop = StopStrings(("ab>",), merging_tokenizer)
    ids = merging_tokenizer("ab>x").input_ids
    assert stops_at(stop, ids) == len(ids) - 1


def test_the_first_of_several_strings(tiny_tokenizer):
    stop = StopStrings(("zzz", "b", "abc"), tiny_tokenizer)
    assert stops_at(stop, tiny_tokenizer("xabc").input_ids) == 2


def test_characters_of_several_bytes(tiny_tokenizer):
    text = "答案是七。后来"
    stop = StopStrings(("是七。",), tiny_tokenizer)
    ids = tiny_tokenizer(text).input_ids
    assert stops_at(stop, ids) == len("答案是七。".encode()) - 1


def test_special_tokens_can_be_named(tiny_tokenizer):
    stop = StopStrings(("<eos>",), tiny_tokenizer)
    assert stops_at(stop, [70, 71, tiny_tokenizer.eos_token_id, 72]) == 2


def test_a_string_behind_is_not_found_again(tiny_tokenizer):
    stop = StopStrings(("ab",), tiny_tokenizer)
    ids = tiny_tokenizer("ab b").input_ids
    assert stop.candidates(np.array(ids[-1:])) == [0]
    assert not stop.ends(ids)


def test_repeated_characters(tiny_tokenizer):
    stop = StopStrings(("aa",), tiny_tokenizer)
    assert stops_at(stop, tiny_tokenizer("aa").input_ids) == 1
    assert stops_at(stop, tiny_tokenizer("aba").input_ids) is None


def test_candidates_are_few(tiny_tokenizer):
    stop = StopStrings(("</answer>",), tiny_tokenizer)
    ids = np.array([tiny_tokenizer(letter).input_ids[0] for letter in "ab>d>"] + [10**6])
    assert stop.candidates(ids) == [2, 4]


def test_without_strings_nothing_is_a_candidate(tiny_tokenizer):
    stop = StopStrings((), tiny_tokenizer)
    assert stop.candidates(np.arange(200)) == []


def test_an_empty_string_is_an_error(tiny_tokenizer):
    with pytest.raises(ValueError, match="empty string"):
        StopStrings(("a", ""), tiny_tokenizer)
