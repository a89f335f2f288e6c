"""Many records of one kind as columns: a NumPy array a key, yet a sequence of records to read.

A million records of pydantic's would take gigabytes and minutes; their columns take megabytes, and
every check of them is a few array operations. Records are made when one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from dtkd_opt.errors import KEPT_FAULTS, InputError
from dtkd_opt.records.arrays import Array, Mask
from dtkd_opt.records.fields import Record
from dtkd_opt.records.validation import fault_lines

Texts: TypeAlias = NDArray[np.object_]
R = TypeVar("R", bound=Record)


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


class Columns(Sequence[R]):
    """A frozen sequence of records, kept as one read-only array a key (its attributes).

    Subclasses name the record and its keys. A record is made on indexing, a slice is of the same
    class. Equal to any sequence of equal records.
    """

    __slots__ = ("_columns",)
    record: ClassVar[type[Record]]
    keys: ClassVar[Mapping[str, Column]]
    file_key: ClassVar[str] = "users"  # under which a file holds them
    _columns: dict[str, NDArray[Any]]

    def __init__(self, columns: Mapping[str, NDArray[Any]]):
        """Take arrays as they are; :meth:`from_columns` checks them."""
        if missing := [key for key in self.keys if key not in columns]:
            raise TypeError(f"missing columns: {', '.join(missing)}")
        frozen = {}
        for key in self.keys:
            frozen[key] = columns[key].view()
            frozen[key].setflags(write=False)
        object.__setattr__(self, "_columns", frozen)

    @classmethod
    def from_records(cls, records: Iterable[R]) -> Self:
        """The columns of records.

        Raises
        ------
        InputError
            As of :meth:`from_columns`, where `model_construct` made one.
        """
        rows = tuple(records)
        return cls._checked({k: c.pack([getattr(r, k) for r in rows]) for k, c in cls.keys.items()})

    @classmethod
    def from_columns(cls, **columns: Any) -> Self:
        """Columns from one array or list a key; nullable keys may be left out, and hold None.

        Raises
        ------
        InputError
            With the same lines as for records in a file: ``users[3].samples: must be …``.
        TypeError, ValueError
            Unknown or missing keys, arrays of different length or of another kind.
        """
        size = {len(values) for values in columns.values()}
        if unknown := set(columns) - set(cls.keys):
            raise TypeError(f"unknown columns: {', '.join(sorted(unknown))}")
        if len(size) != 1:
            raise ValueError(f"columns must be of one length, got {sorted(size)}")
        (rows,) = size
        return cls._checked({k: _array(k, c, columns.get(k), rows) for k, c in cls.keys.items()})

    @classmethod
    def _checked(cls, columns: Mapping[str, NDArray[Any]]) -> Self:
        made = cls(columns)
        invalid = np.flatnonzero(made.invalid_rows())[:KEPT_FAULTS]
        if faults := cls.row_faults(zip(invalid.tolist(), made[invalid]._rows(), strict=True)):
            raise InputError(cls.file_key, faults)
        return made

    def replace(self, **columns: Any) -> Self:
        """A copy with other columns, which are checked."""
        return self.from_columns(**{**self._columns, **columns})

    def invalid_rows(self) -> Mask:
        """(N,) rows that are no valid record."""
        masks = [column.invalid(self._columns[key]) for key, column in self.keys.items()]
        return np.asarray(np.logical_or.reduce(masks))

    @classmethod
    def row_faults(cls, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[str]:
        """What is wrong with numbered rows, in the words for records in a file."""
        faults: list[str] = []
        for n, row in rows:
            try:
                cls.record.model_validate(row)
            except ValidationError as error:
                faults += fault_lines(error, (cls.file_key, n))
        return faults[:KEPT_FAULTS]

    def __getattr__(self, key: str) -> NDArray[Any]:
        if key in type(self).keys:
            return self._columns[key]
        raise AttributeError(f"{type(self).__name__} has no column {key!r}")

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replace()")

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> R: ...
    @overload
    def __getitem__(self, index: slice | NDArray[Any]) -> Self: ...
    def __getitem__(self, index: int | np.integer[Any] | slice | NDArray[Any]) -> R | Self:
        if isinstance(index, slice | np.ndarray):
            return type(self)({key: values[index] for key, values in self._columns.items()})
        n = range(len(self))[index]  # also from the end; IndexError beyond it
        return next(iter(self[n : n + 1]))

    def __iter__(self) -> Iterator[R]:
        for row in self._rows():
            yield self.record.model_construct(**row)  # type: ignore[misc]

    def _rows(self) -> Iterator[dict[str, Any]]:
        for first in range(0, len(self), 10_000):  # by blocks: Python's numbers are large
            part = {k: v[first : first + 10_000] for k, v in self._columns.items()}
            values = [column.unpack(part[key]) for key, column in self.keys.items()]
            for row in zip(*values, strict=True):
                yield dict(zip(self.keys, row, strict=True))

    def to_rows(self) -> Iterator[dict[str, Any]]:
        """The records as in a file: null keys are left out."""
        for row in self._rows():
            yield {key: value for key, value in row.items() if value is not None}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, type(self)):
            return self is other or all(
                _equal(self._columns[key], other._columns[key]) for key in self.keys
            )
        if isinstance(other, tuple | list):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))  # as of the tuple that it is equal to

    def __repr__(self) -> str:
        rows = repr(list(self)) if len(self) <= 3 else f"<{len(self)} rows>"
        return f"{type(self).__name__}.from_records({rows})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._columns,)

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A field takes columns, or what a tuple of records takes, with the latter's errors."""
        return core_schema.no_info_wrap_validator_function(
            lambda value, records: (
                value if isinstance(value, cls) else cls.from_records(records(value))
            ),
            handler.generate_schema(tuple[cls.record, ...]),  # type: ignore[name-defined]
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda columns: list(columns._rows())
            ),
        )


def _array(key: str, column: Column, values: Any, rows: int) -> NDArray[Any]:
    """A copy of one column as an array of its kind."""
    if values is None:
        if column.null is None or column.kind == "numbers":
            raise TypeError(f"column {key} is missing")
        return np.full(rows, column.null)
    if column.kind == "text":
        return _objects(values.tolist() if isinstance(values, np.ndarray) else values)
    given = np.asarray(values)
    if given.dtype == object and column.kind == "numbers":
        return _pack_lists(given.tolist())
    if given.dtype == object:
        given = column.pack(given.tolist()) if column.kind == "number" else np.array([*given])
    if column.kind == "whole" and not np.issubdtype(given.dtype, np.integer):
        raise TypeError(f"column {key} must be whole numbers")
    array = np.array(given, np.int64 if column.kind == "whole" else float)
    if array.ndim != (2 if column.kind == "numbers" else 1):
        raise ValueError(f"column {key} has {array.ndim} dimensions")
    return array


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f")
