import pytest

from dunwu.cli.thinking import ThinkingSplitter, TokenStream, styled

TEXT = "so <think>a < b </think> then <answer>7</answer>."
PIECES = [
    ("text", "so "),
    ("tag", "<think>"),
    ("thinking", "a < b "),
    ("tag", "</think>"),
    ("text", " then "),
    ("tag", "<answer>"),
    ("answer", "7"),
    ("tag", "</answer>"),
    ("text", "."),
]


def joined(pieces):
    """Put neighbours of one kind together."""
    result = []
    for kind, piece in pieces:
        if result and result[-1][0] == kind and kind != "tag":
            result[-1] = (kind, result[-1][1] + piece)
        else:
            result.append((kind, piece))
    return result


def split(*chunks, thinking=False):
    splitter = ThinkingSplitter(thinking=thinking)
    pieces = [piece for chunk in chunks for piece in splitter.push(chunk)]
    return [*pieces, *splitter.finish()]


def test_thinking_answer_tags_and_the_rest_are_told_apart():
    assert split(TEXT) == PIECES


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_tags_may_come_in_parts(size):
    chunks = [TEXT[i : i + size] for i in range(0, len(TEXT), size)]
    assert joined(split(*chunks)) == PIECES


def test_what_cannot_become_a_tag_is_not_held_back():
    splitter = ThinkingSplitter()
    assert list(splitter.push("a <")) == [("text", "a ")]
    assert list(splitter.push("b <thin")) == [("text", "<b ")]
    assert list(splitter.finish()) == [("text", "<thin")]
    assert list(splitter.finish()) == []


def test_a_prompt_may_have_opened_the_thinking():
    assert split("hm</think>7", thinking=True) == [("thinking", "hm"), ("tag", "</think>"), ("text", "7")]


def test_styled_text_keeps_every_character_and_reads_no_markup():
    text = styled("<think>[bold]x[/bold]</think>[/red]")
    assert text.plain == "<think>[bold]x[/bold]</think>[/red]"
    assert [str(span.style) for span in text.spans] == ["dim cyan", "dim italic", "dim cyan"]


def decode(token_ids):
    return bytes(token_ids).decode("utf-8", errors="replace")


def test_half_characters_are_held_back_until_they_are_whole():
    stream = TokenStream(decode)
    data = "a 顿悟 🎉 b".encode()
    shown = [stream.push(token) for token in data]
    assert "".join(shown) == "a 顿悟 🎉 b"
    assert "\ufffd" not in "".join(shown)
    assert stream.finish() == ""


def test_a_character_that_never_ends_is_shown_at_the_end():
    stream = TokenStream(decode)
    assert [stream.push(token) for token in "é".encode()[:1]] == [""]
    assert stream.finish() == "\ufffd"


def test_spaces_that_a_decoder_drops_at_the_start_of_a_text_are_kept_between_tokens():
    words = {1: "▁one", 2: "▁two", 3: "▁three"}

    def decode_words(token_ids):
        return "".join(words[token] for token in token_ids).replace("▁", " ").removeprefix(" ")

    stream = TokenStream(decode_words)
    assert "".join(stream.push(token) for token in (1, 2, 3)) == "one two three"


def test_only_a_few_tokens_are_decoded_at_a_time():
    lengths = []

    def counting(token_ids):
        lengths.append(len(token_ids))
        return decode(token_ids)

    stream = TokenStream(counting)
    for token in b"abcdefgh" * 50:
        stream.push(token)
    assert max(lengths) <= 2
