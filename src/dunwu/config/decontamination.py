"""What training is kept apart from: the paper's 10-gram filter (facts.md section 9) over every evaluation set of a recipe."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt, field_validator

from dunwu.config.base import ConfigModel
from dunwu.config.references import DataSource, stage_of_source


class EvaluationFile(ConfigModel):
    """A benchmark that the recipe does not evaluate on itself, and that training must not have seen."""

    source: DataSource
    """A JSONL or Parquet file, a data set folder or a hub name."""
    question_column: str = "question"
    answer_column: str | None = None
    """Column with reference solutions; left out: questions alone are compared."""
    split: str = "test"
    """Split to read from a data set folder or hub data set."""
    subset: str | None = None

    @field_validator("source")
    @classmethod
    def _not_made_here(cls, source: str) -> str:
        if stage_of_source(source) is not None:
            raise ValueError("a stage's data are training data; name a file, a data set folder or a hub name")
        return source


def _as_list(value: Any) -> Any:
    entries = [value] if isinstance(value, str | dict) else value
    return [{"source": entry} if isinstance(entry, str) else entry for entry in entries]


class DecontaminationConfig(ConfigModel):
    """Training questions and solutions that share a run of words with an evaluation item are left out of training."""

    ngram_size: Annotated[int, Field(ge=2)] = 10
    """Words in a row, or characters in Chinese, that two texts must share (facts.md section 9: 10)."""
    common_items: PositiveInt = 10
    """A run of words that more items of one evaluation set share, whatever the numbers in it, is its common text (an instruction,
    a template) and counts for nothing; of small sets a tenth of the items is enough."""
    against: Annotated[tuple[EvaluationFile, ...], BeforeValidator(_as_list)] = ()
    """Further evaluation sets: files, or tables with `source` and columns. The held-out sets of all stages are always among
    them."""
