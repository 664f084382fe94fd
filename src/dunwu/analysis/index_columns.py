"""Columns of an index as arrays, put together from blocks on disk and tables of the newest files. Called by `index_store`.

Arrow's own way to NumPy loads pandas where that is installed, which takes longer than what is done here; so buffers are read as
they are.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dunwu.analysis.rollout_index import read_block

_FEW = 128


class Column(NamedTuple):
    """One column of all rows: numbers, or codes of texts.

    Args:
        array: (rows,) int8 where the texts are few.
        texts: what the codes stand for; None for numbers.
    """

    array: np.ndarray
    texts: pa.Array | None = None


def read_index_columns(sources: Sequence[Path | pa.Table], names: Sequence[str]) -> dict[str, Column]:
    """Read columns of blocks and tables, one after the other; all at once, since it is opening a block that takes time."""
    tables = [
        read_block(source, names) if isinstance(source, Path) else source.select(names) for source in sources
    ]
    return {name: _column([chunk for table in tables for chunk in table[name].chunks]) for name in names}


def plain_array(values: pa.Array) -> np.ndarray:
    """Return numbers or truth values of which none is missing; not to be written to."""
    if pa.types.is_boolean(values.type):
        return plain_array(pc.cast(values, pa.uint8())).view(bool)
    kind = np.dtype(values.type.to_pandas_dtype())
    buffer = values.buffers()[1]
    if buffer is None:
        return np.zeros(0, kind)
    return np.frombuffer(buffer, kind, len(values), values.offset * kind.itemsize)


def _column(chunks: Sequence[pa.Array]) -> Column:
    if not chunks:
        return Column(np.zeros(0, np.int32), pa.array([], pa.string()))
    if not (pa.types.is_dictionary(chunks[0].type) or pa.types.is_string(chunks[0].type)):
        return Column(np.concatenate([plain_array(chunk) for chunk in chunks]))
    encoded = [c if isinstance(c, pa.DictionaryArray) else c.dictionary_encode() for c in chunks]
    whole = pa.chunked_array(encoded).unify_dictionaries()
    texts = whole.chunk(0).dictionary
    kind = np.int8 if len(texts) < _FEW else np.int32
    return Column(np.concatenate([plain_array(chunk.indices).astype(kind) for chunk in whole.chunks]), texts)
