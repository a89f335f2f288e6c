"""Parquet tables of users beside the JSON files of large instances and solutions.

pyarrow is an extra, imported only where a table is read or written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.errors import KEPT_FAULTS, InputError, UsageError
from dtkd_opt.records.arguments import as_choice
from dtkd_opt.records.arrays import Array, Index, Mask
from dtkd_opt.records.columns import Columns
from dtkd_opt.records.files import (
    GZIP,
    read_bytes,
    read_unpacked,
    without_ending,
    write_atomic,
    write_files,
)
from dtkd_opt.records.json_text import parse_json
from dtkd_opt.records.packing import Column
from dtkd_opt.records.streams import is_stream, source_name, target_name
from dtkd_opt.records.validation import at_path

PARQUET_MIN_USERS = 100_000  # from which on a file's users go into a Parquet file beside it
Storage: TypeAlias = Literal["auto", "json", "parquet"]
C = TypeVar("C", bound=Columns[Any])

_KINDS = {
    "text": "texts",
    "whole": "whole numbers",
    "number": "numbers",
    "numbers": "lists of numbers",
}


def referenced_parquet(head: Any, path: Path, key: str = "users") -> Path | None:
    """The Parquet file that a file names under a key, in the same folder; None if it names none.

    InputError where the name is not a plain one: a file must not reach into folders. Nor can what
    comes from standard input or a pipe name one.
    """
    name = head.get(key) if isinstance(head, dict) else None
    if not isinstance(name, str):
        return None
    plain = name.endswith(".parquet") and not set(name) & set("/\\:\0") and name != ".parquet"
    got = json.dumps(name, ensure_ascii=False)[:60]
    if not plain or len(name) > 255 or not name.isprintable():
        fault = f"{key}: must be a list in [ ] or the name of a .parquet file in the same folder"
        raise InputError(source_name(path), [f"{fault}, got {got}"])
    if is_stream(path):
        fault = f"{key}: must be a list in [ ], as no file is in the same folder, got {got}"
        raise InputError(source_name(path), [fault])
    return path.parent / name


def named_tables(path: Path) -> list[Path]:
    """The Parquet files that a JSON file names; none where it is no file, or not one of JSON."""
    try:
        if is_stream(path) or not _may_be_json(path):  # of large data it takes too long to look
            return []
        data = read_unpacked(path)
        head = parse_json(data, str(path)) if b".parquet" in data else None
        tables = [referenced_parquet(head, path, key) for key in ("users", "incumbent")]
    except (InputError, OSError, ValueError):  # is told when it is read
        return []
    return [table for table in tables if table is not None]


def _may_be_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", GZIP))


def write_with_parquet(
    path: Path,
    columns: Columns[Any],
    user_table: Path | None,
    to_bytes: Callable[[str | None], bytes],
) -> tuple[Path, ...]:
    """Write a file atomically, its users in it or in a Parquet file beside it, which comes first.

    `to_bytes` makes the file's contents from the name of the Parquet file, None without one.
    """
    if user_table is None:
        write_atomic(path, to_bytes(None))
        return (path,)
    write_files({user_table: _to_parquet(columns, user_table), path: to_bytes(user_table.name)})
    return path, user_table


def parquet_path(path: Path, storage: Storage, size: int, kind: str = "") -> Path | None:
    """The Parquet file for a file's users, or None where they go into the file itself.

    `kind` stands before its ending, such as ``.incumbent``.
    """
    as_choice(storage, get_args(Storage), "users cannot be stored as")
    if storage == "parquet" and is_stream(path):
        raise UsageError(f"no table can lie beside {target_name(path)}: write its users inside it")
    if storage == "json" or (storage == "auto" and (size < PARQUET_MIN_USERS or is_stream(path))):
        return None
    user_table = path.with_name(f"{without_ending(path).name}{kind}.parquet") if path.name else path
    if user_table == path or referenced_parquet({"users": user_table.name}, path) is None:
        fault = "its users go into a file of this name that ends in .parquet; name it ….json"
        raise InputError(str(path), [fault])
    return user_table


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError:
        fault = 'is a Parquet table, which needs pyarrow: pip install "dtkd-opt[parquet]"'
        raise InputError(str(path), [fault]) from None
    return pyarrow


def _to_parquet(columns: Columns[Any], path: Path) -> bytes:
    """Columns as a Parquet file for a path; nullable ones without a value are left out."""
    pa = _pyarrow(path)
    arrays = {}
    for key, column in columns.keys.items():
        values = getattr(columns, key)
        null = column.is_null(values) if column.null is not None else None
        if null is None or column.kind == "numbers" or not null.all():
            arrays[key] = _to_arrow(pa, values, null)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table(arrays), sink, write_page_checksum=True)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _to_arrow(pa: Any, values: NDArray[Any], null: Mask | None) -> Any:
    if values.dtype == object and null is not None:  # lists of several lengths
        return pa.array(values, pa.list_(pa.float64()))
    if values.ndim == 1:
        return pa.array(values, pa.string() if values.dtype == object else None, mask=null)
    flat = pa.array(values.ravel(), mask=None if null is None else null.ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def read_parquet(kind: type[C], path: Path) -> C:
    """Columns from a Parquet file, checked as records in JSON; InputError has the first faults."""
    pa = _pyarrow(path)
    data = read_bytes(path)
    try:
        file = pa.parquet.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        if faults := _schema_faults(pa, kind, file.schema_arrow):
            raise InputError(str(path), faults)
        arrow = file.read()
        arrow.validate(full=True)
        columns, invalid = _unpack(pa, kind, arrow)
        made = kind.from_arrays(columns)
        rows = np.flatnonzero(made.invalid_rows() | invalid)[:KEPT_FAULTS]
        faults = kind.row_faults(zip(rows.tolist(), arrow.take(rows).to_pylist(), strict=True))
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError):
        raise InputError(str(path), ["is not a Parquet file, or is damaged"]) from None
    if faults:
        raise InputError(str(path), faults)
    return made


def _schema_faults(pa: Any, kind: type[Columns[Any]], schema: Any) -> list[str]:
    """Columns that are missing, unknown, there twice or of the wrong type."""
    counts = Counter(schema.names)
    faults = []
    for key, column in kind.keys.items():
        if key not in counts:
            if column.null is None or column.kind == "numbers":
                faults.append(f"{key}: is missing; must be given")
        elif counts[key] > 1:
            faults.append(f"{key}: is given more than once; keep one")
        elif not _fits(pa, column, schema.field(key).type):
            faults.append(
                f"{key}: must be a column of {_KINDS[column.kind]}, "
                f"got one of type {str(schema.field(key).type)[:60]}"
            )
    unknown = [key for key in counts if key not in kind.keys][:KEPT_FAULTS]
    return faults + [
        at_path((key,), "is not a known column; remove or rename it") for key in unknown
    ]


def _fits(pa: Any, column: Column, kind: Any) -> bool:
    """Whether an Arrow type can hold a key's values; nulls alone are of a type of their own."""
    is_ = pa.types
    if is_.is_null(kind):
        return True
    if column.kind == "text":
        kind = kind.value_type if is_.is_dictionary(kind) else kind
        return bool(is_.is_string(kind) or is_.is_large_string(kind))
    if column.kind == "whole":
        return bool(is_.is_integer(kind))
    if column.kind == "numbers":
        if not (is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind)):
            return False
        kind = kind.value_type
    number = is_.is_integer(kind) or is_.is_float32(kind) or is_.is_float64(kind)
    return bool(number or is_.is_null(kind))


def _unpack(pa: Any, kind: type[Columns[Any]], arrow: Any) -> tuple[dict[str, NDArray[Any]], Mask]:
    """Its columns as arrays, and which rows hold what no array can represent."""
    columns, invalid = {}, np.zeros(arrow.num_rows, bool)
    for key, column in kind.keys.items():
        if key not in arrow.column_names:
            columns[key] = np.full(arrow.num_rows, column.null)
        elif column.kind == "text":
            columns[key] = arrow[key].cast(pa.large_string()).to_numpy()
        elif column.kind == "whole":
            columns[key] = _whole(pa, column, arrow[key])
        elif column.kind == "number":
            columns[key], wrong = _numbers(pa, column, arrow[key])
            invalid |= wrong
        else:
            columns[key], wrong = _lists(pa, column, arrow[key])
            invalid |= wrong
    return columns, invalid


def _whole(pa: Any, column: Column, values: Any) -> Index:
    """Null becomes 0; what is too large becomes a little too large."""
    if pa.types.is_null(values.type):
        return np.zeros(len(values), np.int64)
    plain = pa.compute.fill_null(values, 0).to_numpy()
    if plain.dtype == np.uint64:
        plain = np.minimum(plain, np.uint64(column.max + 1))
    return np.array(plain, np.int64)


def _numbers(pa: Any, column: Column, values: Any) -> tuple[Array, Mask]:
    """Numbers with nulls as in the column, and where a number says what stands for null."""
    missing = values.is_null().to_numpy(zero_copy_only=False)
    plain = np.array(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), float)
    if column.null is None:
        plain[missing] = np.nan
        return plain, np.zeros(len(plain), bool)
    invalid = column.is_null(plain) & ~missing
    plain[missing] = column.null
    return plain, invalid


def _lists(pa: Any, column: Column, values: Any) -> tuple[NDArray[Any], Mask]:
    """(N, W) numbers; (N,) tuples where the lengths differ."""
    rows = values.combine_chunks()
    lengths = set()
    if not pa.types.is_null(rows.type):
        lengths = set(pa.compute.unique(pa.compute.list_value_length(rows)).to_pylist())
    if rows.null_count == 0 and len(lengths) == 1:
        plain, invalid = _numbers(pa, column, pa.compute.list_flatten(rows))
        shape = (len(rows), lengths.pop())
        return plain.reshape(shape), np.logical_or.reduce(invalid.reshape(shape), axis=1)
    ragged, wrong = np.empty(len(rows), object), np.zeros(len(rows), bool)
    for n, row in enumerate(rows.to_pylist()):
        ragged[n] = tuple(row or ())
        wrong[n] = row is None or any(x is not None and x != x for x in row)
    return ragged, wrong
