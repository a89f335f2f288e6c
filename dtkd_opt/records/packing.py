"""One key of many records: how it is kept as an array, and what its entries may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.records.arrays import Array, Mask, float_array, plain_value, whole_array

Texts: TypeAlias = NDArray[np.object_]


@dataclass(frozen=True)
class Column:
    """How one key of the records is kept, and the same limits as its field's type has."""

    kind: Literal["text", "whole", "number", "numbers"]
    min: float = -np.inf
    max: float = np.inf
    min_positive: float = 0.0  # the least value above 0
    null: float | None = None  # what stands for null in the array; None where null is no value
    allowed: tuple[str, ...] = ()  # texts; empty: any but the empty one

    def invalid(self, values: NDArray[Any]) -> Mask:
        """(N,) whether an entry is one that its field does not take."""
        if self.kind == "text":
            return _invalid_texts(values, self.allowed)
        if values.dtype == object:  # lists of several lengths
            return np.array([bool(self._outside(pack_list(row)).any()) for row in values], bool)
        invalid = self._outside(values)
        return np.logical_or.reduce(invalid, axis=1, dtype=bool) if invalid.ndim == 2 else invalid

    def _outside(self, values: NDArray[Any]) -> Mask:
        valid = (values >= self.min) & (values <= self.max)  # false where not a number
        if self.min_positive:
            valid &= (values == 0) | (values >= self.min_positive)
        if self.null is not None:
            valid |= self.is_null(values)
        return ~valid

    def is_null(self, values: NDArray[Any]) -> Mask:
        """Which entries stand for null."""
        if self.null is None:
            return np.zeros(values.shape, bool)
        return np.asarray(np.isnan(values) if np.isnan(self.null) else values == self.null)

    def pack(self, values: Sequence[Any]) -> NDArray[Any]:
        """An array of a record's values of this key."""
        if self.kind == "text":
            return _objects(values)
        if self.kind == "numbers":
            return _pack_lists(values)
        if self.null is not None:
            values = [self.null if value is None else value for value in values]
        return np.array(values, np.int64 if self.kind == "whole" else float)

    def array(self, values: Any) -> NDArray[Any] | None:
        """A copy of what Python holds a column in; None where an entry is of another kind."""
        if self.kind == "text":
            return _text_array(values)
        if self.kind == "numbers":
            return _rows_array(values)
        array = whole_array(values) if self.kind == "whole" else float_array(values, self.null)
        return array if array is not None and array.ndim == 1 else None

    def unpack(self, values: NDArray[Any]) -> list[Any]:
        """The records' values: Python's own numbers, None for null."""
        plain: list[Any] = values.tolist()
        if self.kind == "text" or self.null is None or not len(plain):
            return plain
        if self.kind == "numbers":
            return [tuple(None if x is None or x != x else x for x in row) for row in plain]
        return [None if value == self.null else value for value in plain]


def _invalid_texts(values: Texts, allowed: tuple[str, ...]) -> Mask:
    if allowed:
        return ~np.isin(values, np.array(allowed, object))
    plain = values.tolist()
    if set(map(type, plain)) <= {str} and "" not in set(plain) and _encodable("".join(plain)):
        return np.zeros(len(values), bool)
    return np.array([type(x) is not str or not x or not _encodable(x) for x in plain], bool)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def pack_list(row: Sequence[float | None]) -> Array:
    """Null becomes NaN."""
    return np.array([np.nan if value is None else value for value in row], float)


def _pack_lists(rows: Sequence[Sequence[float | None]]) -> NDArray[Any]:
    """(N, W) numbers; (N,) tuples where lengths differ, so that the wrong ones can be named."""
    if len({len(row) for row in rows}) <= 1:
        width = len(rows[0]) if rows else 0
        return np.array([pack_list(row) for row in rows], float).reshape(len(rows), width)
    array = np.empty(len(rows), object)
    for n, row in enumerate(rows):
        array[n] = tuple(row)
    return array


def _text_array(values: Any) -> Texts | None:
    texts = values.tolist() if isinstance(values, np.ndarray) else values
    if not {*map(type, texts)} <= {str}:
        texts = plain_value([*texts])  # NumPy's own are texts too
    return _objects(texts) if {*map(type, texts)} <= {str} else None


def _rows_array(values: Any) -> NDArray[Any] | None:
    array = float_array(values, np.nan)
    if array is not None:
        return array if array.ndim == 2 else None
    rows = [float_array(row, np.nan) for row in values]
    if any(row is None or row.ndim != 1 for row in rows):
        return None
    return _pack_lists([row.tolist() for row in rows if row is not None])
