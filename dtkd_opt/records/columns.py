"""Many records of one kind as columns: a NumPy array a key, yet a sequence of records to read.

A million records of pydantic's would take gigabytes and minutes; their columns take megabytes, and
every check of them is a few array operations. Records are made when one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from dtkd_opt.errors import KEPT_FAULTS, InputError
from dtkd_opt.records.arrays import Mask, is_list, plain_value
from dtkd_opt.records.fields import Record
from dtkd_opt.records.packing import Column
from dtkd_opt.records.validation import counted, fault_lines, short_value, unknown_key

R = TypeVar("R", bound=Record)


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

    def __init__(self, columns: Mapping[str, Any]):
        """As :meth:`from_columns`, of a mapping."""
        if not isinstance(columns, Mapping):
            fault = f"must be lists or arrays by their keys, got {short_value(columns, True)}"
            raise InputError(self.file_key, [fault])
        self._freeze(self._arrays(columns))
        self._check()

    def _freeze(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        frozen = {key: arrays[key].view() for key in self.keys}
        for array in frozen.values():
            array.setflags(write=False)
        object.__setattr__(self, "_columns", frozen)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Columns of an array for each key, as they are: neither checked nor copied."""
        made = cls.__new__(cls)
        made._freeze(arrays)
        return made

    @classmethod
    def from_records(cls, records: Iterable[R]) -> Self:
        """The columns of records.

        Raises
        ------
        InputError
            As of :meth:`from_columns`, where `model_construct` made one.
        """
        iterable = isinstance(records, Iterable) and getattr(records, "ndim", 1) > 0
        rows = tuple(records) if iterable else (records,)
        odd = [n for n, row in enumerate(rows) if not isinstance(row, cls.record)][:KEPT_FAULTS]
        if odd:
            must = f"must be a {cls.record.__name__}"
            where = [f"{cls.file_key}[{n}]: {must}, got {short_value(rows[n], True)}" for n in odd]
            raise InputError(cls.file_key, where)
        packed = {k: c.pack([getattr(r, k) for r in rows]) for k, c in cls.keys.items()}
        made = cls.from_arrays(packed)
        made._check()
        return made

    @classmethod
    def from_columns(cls, **columns: Any) -> Self:
        """Columns from one array or list a key; nullable keys may be left out, and hold None.

        Raises
        ------
        InputError
            With the same lines as for records in a file: ``users[3].samples: must be …``.
        """
        return cls(columns)

    @classmethod
    def _arrays(cls, columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """An array a key, of the right lengths and kinds."""
        if faults := [*cls._key_faults(columns), *_size_faults(columns)]:
            raise InputError(cls.file_key, faults)
        (rows,) = {len(values) for values in columns.values()}
        packed = {key: cls.keys[key].array(values) for key, values in columns.items()}
        arrays = {key: array for key, array in packed.items() if array is not None}
        if len(arrays) < len(packed):
            raise InputError(cls.file_key, cls._entry_faults(columns, arrays))
        nulls = {key: np.full(rows, cls.keys[key].null) for key in cls.keys.keys() - columns.keys()}
        return arrays | nulls

    @classmethod
    def _entry_faults(cls, given: Mapping[str, Any], arrays: Mapping[str, Any]) -> list[str]:
        """What is wrong in columns of which not all could be made arrays, row by row."""
        plain = {
            key: cls.keys[key].unpack(arrays[key]) if key in arrays else plain_value(values)
            for key, values in given.items()
        }
        rows = (dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True))
        odd = ", ".join(key for key in given if key not in arrays)
        return cls.row_faults(enumerate(rows)) or [f"{odd}: must hold what a file's list would"]

    @classmethod
    def _key_faults(cls, given: Iterable[str]) -> Iterator[str]:
        """Unknown and missing columns."""
        for key in given:
            if key not in cls.keys:
                yield unknown_key((str(key),), cls.keys)
        for key, column in cls.keys.items():
            if key not in given and (column.null is None or column.kind == "numbers"):
                yield f"{key}: is missing; must be given"

    def _check(self) -> None:
        invalid = np.flatnonzero(self.invalid_rows())[:KEPT_FAULTS]
        if faults := self.row_faults(zip(invalid.tolist(), self[invalid]._rows(), strict=True)):
            raise InputError(self.file_key, faults)

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
            if len(faults) >= KEPT_FAULTS:
                break
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
            return self.from_arrays({key: array[index] for key, array in self._columns.items()})
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
        return type(self).from_arrays, (self._columns,)

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


def _size_faults(columns: Mapping[str, Any]) -> list[str]:
    """Columns that are no lists, or not as long as the first."""
    lists = {key: is_list(values) for key, values in columns.items()}
    if not all(lists.values()):
        rule = "must be a list or an array with an entry for each of them"
        return [
            f"{key}: {rule}, got {short_value(columns[key], True)}"
            for key, good in lists.items()
            if not good
        ]
    sizes = {key: len(values) for key, values in columns.items()}
    first = next(iter(sizes), "")
    return [
        f"{key}: must have {counted(sizes[first], 'entries')} as {first} has, got {size}"
        for key, size in sizes.items()
        if size != sizes[first]
    ]


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f")
