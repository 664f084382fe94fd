"""Chinese numerals in Arabic digits."""

import time

import pytest

from dunwu.rewards.chinese_numerals import arabic_number, chinese_integer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("零", 0), ("两", 2), ("十", 10), ("十五", 15), ("二十", 20), ("一百零五", 105), ("一百五十", 150), ("一百一十五", 115),
        ("三百二", 320), ("一千零五", 1005), ("一千零五十", 1050), ("一千二百三", 1230), ("九千九百九十九", 9999),
        ("一万零五", 10005), ("一万五", 15000), ("一万二千", 12000), ("十万", 100_000), ("三百万", 3_000_000),
        ("一亿零三万", 100_030_000), ("三万亿", 3 * 10**12), ("十二亿三千四百五十六万七千八百九十", 1_234_567_890),
        ("二〇二四", 2024), ("二零二四", 2024), ("壹佰贰拾叁", 123), ("三萬", 30_000),
        ("百", None), ("万", None), ("亿万", None), ("十十", None), ("一百百", None), ("一二三百", None), ("一百零", None),
        ("一千千", None), ("十百", None), ("三x", None),
    ],
)  # fmt: skip
def test_integers(text: str, number: int | None) -> None:
    assert chinese_integer(text) == number


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("负三", "-3"), ("三点一四", "3.14"), ("零点五", "0.5"), ("三分之二", r"\frac{2}{3}"), ("一又三分之一", r"1\frac{1}{3}"),
        ("负三分之二", r"-\frac{2}{3}"), ("3分之2", r"\frac{2}{3}"), ("百分之五", r"5\%"), ("百分之二点五", r"2.5\%"),
        ("百分之百", r"100\%"), ("百分之12.5", r"12.5\%"), ("1.5万", "15000"), ("1.5万元", "15000元"), ("2百万", "2000000"),
        ("3亿5000万", "350000000"), ("1万2千", "12000"), ("1.23456万", "12345.6"), ("1万2345", "12345"),
        ("两个", "2个"), ("三十五人", "35人"), ("五厘米", "5厘米"), ("三千克", "3000克"), ("四十二个苹果", "42个苹果"),
        ("3千克", None), ("5千米", None), ("三角形", None), ("第四", None), ("一样", None), ("万一", None), ("二次函数", None),
        ("二或三", None), ("零分之一", None), ("3百分之一", None), ("三点", None), ("123", None), ("", None), ("x", None),
        ("1万3亿", None), ("一" * 41, None),
    ],
)  # fmt: skip
def test_texts_that_are_one_numeral(text: str, written: str | None) -> None:
    assert arabic_number(text) == written


@pytest.mark.parametrize("place", ["", "十", "百", "千", "万"])
def test_every_number_to_ten_thousand_is_read_as_it_is_written(place: str) -> None:
    digits = "零一二三四五六七八九"
    for number in range(1, 10_000, 7):
        text, gap = "", False
        for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
            digit = number // size % 10
            if digit:
                text += ("零" if gap and text else "") + digits[digit] + name
            gap = not digit
        wanted = {"": number, "万": number * 10_000}.get(place)
        if wanted is not None:
            assert chinese_integer(text + place) == wanted, text + place


@pytest.mark.parametrize("piece", ["一", "万", "百分之", "1万", "分之", "千", "亿", "零"])
def test_time_is_bounded(piece: str) -> None:
    start = time.process_time()
    arabic_number(piece * 5000)
    for length in range(1, 41):
        arabic_number((piece * 40)[:length])
    assert time.process_time() - start < 0.5
