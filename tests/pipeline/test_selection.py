import pytest

from dunwu.errors import ConfigError
from dunwu.pipeline.selection import Selection

STAGES = ["r1_zero", "cold_start", "sft_1", "reasoning_rl"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((None, None, None), STAGES),
        (("cold_start", None, None), STAGES[1:]),
        ((None, "sft_1", None), STAGES[:3]),
        (("cold_start", "sft_1", None), STAGES[1:3]),
        ((None, None, "sft_1"), ["sft_1"]),
    ],
)
def test_the_stages_that_options_mean(options, names):
    assert Selection.of_options(*options).names(STAGES) == names


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("sft1", None, None), "no stage sft1; did you mean sft_1"),
        ((None, "zzz", None), "no stage zzz; its stages are r1_zero, cold_start"),
        (("sft_1", "r1_zero", None), "r1_zero comes before sft_1"),
        (("sft_1", None, "sft_1"), "--only names the one stage"),
        ((None, "sft_1", "sft_1"), "--only names the one stage"),
    ],
)
def test_options_that_mean_nothing_are_told(options, said):
    with pytest.raises(ConfigError, match=said):
        Selection.of_options(*options).names(STAGES)
