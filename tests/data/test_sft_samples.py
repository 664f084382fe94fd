"""Sets of samples: laid end to end, what is too long dealt with by name, a fingerprint that sees every change."""

from typing import Any

import numpy as np
import pytest

from dunwu.data.chat import ChatForm
from dunwu.data.conversations import Conversation
from dunwu.data.sft_samples import SampleSet, build_samples
from dunwu.errors import DataError


def talk(name: str, *answers: str) -> Conversation:
    messages: list[dict[str, str]] = []
    for answer in answers:
        messages += [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer}]
    return Conversation(name, tuple(messages))


TALKS = [talk("line 1", "is"), talk("line 2", "is it", "it is two"), talk("line 3", "two " * 30)]


@pytest.fixture
def build(chat_tokenizer: Any) -> Any:
    def build(talks: list[Conversation] = TALKS, *, name: str = "llama-3.1", **options: Any) -> SampleSet:
        form = ChatForm(chat_tokenizer(name))
        return build_samples(talks, form, **{"max_tokens": 1000, "too_long": "error", **options})

    return build


def decoded(chat_tokenizer: Any, sample: Any) -> str:
    return chat_tokenizer("llama-3.1").decode(sample.token_ids[sample.trained])


def test_samples_lie_end_to_end(build: Any, chat_tokenizer: Any) -> None:
    samples = build()
    assert len(samples) == 3
    assert decoded(chat_tokenizer, samples[0]) == "is<|eot_id|>"
    assert decoded(chat_tokenizer, samples[1]) == "is it<|eot_id|>it is two<|eot_id|>"
    assert [samples[i].where for i in range(3)] == ["line 1", "line 2", "line 3"]
    assert samples.lengths.tolist() == [len(samples[i].token_ids) for i in range(3)]
    assert samples.end_tokens == ("<|eot_id|>",)
    counts = samples.counts
    assert (counts.conversations, counts.samples, counts.tokens) == (3, 3, int(samples.lengths.sum()))
    assert counts.trained_tokens == sum(int(samples[i].trained.sum()) for i in range(3))
    assert (counts.left_out_too_long, counts.cut_too_long) == (0, 0)
    with pytest.raises(IndexError, match="sample 3 of 3"):
        samples[3]
    with pytest.raises(IndexError):
        samples[-1]


def test_a_conversation_may_give_several_samples(build: Any) -> None:
    samples = build([TALKS[1]], name="qwen3")
    assert (samples.counts.conversations, len(samples)) == (1, 2)
    assert samples.names == ("line 2", "line 2")


def test_too_long_is_an_error_that_names_the_sample(build: Any) -> None:
    longest = int(build().lengths.max())
    build(max_tokens=longest)
    with pytest.raises(DataError, match=f"line 3 has {longest} tokens, more than max_tokens = {longest - 1}"):
        build(max_tokens=longest - 1)


def test_too_long_is_left_out_and_counted(build: Any) -> None:
    limit = int(build().lengths.max()) - 1
    samples = build(max_tokens=limit, too_long="drop")
    assert samples.names == ("line 1", "line 2")
    assert (samples.counts.left_out_too_long, samples.counts.conversations) == (1, 3)


def test_too_long_is_cut_behind_its_last_trained_token(build: Any, chat_tokenizer: Any) -> None:
    whole = build()
    limit = int(whole.lengths[2]) - 10
    samples = build(max_tokens=limit, too_long="cut")
    assert samples.counts.cut_too_long == 1
    assert len(samples[2].token_ids) == limit
    assert "<|eot_id|>" not in decoded(chat_tokenizer, samples[2])  # its end is lost
    np.testing.assert_array_equal(samples[2].token_ids, whole[2].token_ids[:limit])
    # in the middle of the second question, so that the sample ends with the first answer
    second = int(np.flatnonzero(whole[1].trained)[-1]) - 6
    cut = build([TALKS[1]], max_tokens=second, too_long="cut")
    assert decoded(chat_tokenizer, cut[0]) == "is it<|eot_id|>"
    assert cut[0].trained[-1]


def test_a_cut_that_leaves_nothing_trained_leaves_the_sample_out(build: Any) -> None:
    shortest = int(build().lengths.min())
    with pytest.raises(
        DataError, match=r"no sample is left: 3 conversations gave 3 samples, all of them longer"
    ):
        build(max_tokens=shortest - 4, too_long="cut")
    with pytest.raises(DataError, match="no sample is left"):
        build([])


def test_many_blocks_are_as_one(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build()
    monkeypatch.setattr("dunwu.data.sft_samples._BLOCK", 2)
    assert build().fingerprint() == whole.fingerprint()
    assert build().counts == whole.counts


def test_the_fingerprint_sees_tokens_masks_and_order(build: Any) -> None:
    samples = build()
    assert samples.fingerprint() == build().fingerprint()
    others = [build(TALKS[::-1]), build(TALKS[:2]), build([talk("line 1", "it"), *TALKS[1:]])]
    flipped = samples.trained.copy()
    flipped[np.flatnonzero(flipped)[0]] = False
    others.append(
        SampleSet(
            samples.token_ids, flipped, samples.starts, samples.names, samples.end_tokens, samples.counts
        )
    )
    moved = samples.starts.copy()
    moved[1] += 1
    others.append(
        SampleSet(
            samples.token_ids, samples.trained, moved, samples.names, samples.end_tokens, samples.counts
        )
    )
    assert len({samples.fingerprint(), *(other.fingerprint() for other in others)}) == 6
