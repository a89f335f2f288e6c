"""Certificates: a plan, prices and a tree of cases that together prove a gap, as files.

The file format, and what it claims, is documented in instances/CERTIFICATE.md. Users are columns,
so that a million of them are seven arrays; above 100,000 they go to a Parquet file beside the JSON.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, Strict

from dtkd_opt.errors import InputError
from dtkd_opt.records.columns import Texts
from dtkd_opt.records.fields import Name, NonNegative
from dtkd_opt.records.files import parse_json, read_bytes, validate, write_atomic
from dtkd_opt.records.instance import Place

FORMAT = "dtkd-opt/certificate/1"
PARQUET_FROM = 100_000  # users; JSON would be slow to read beyond

Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Whole = Annotated[int, Strict(), Field(ge=0)]
Text = Annotated[str, Strict()]
Option = tuple[Whole, Place, Whole]  # model, place, server

_NAMES = ("name", "model", "place", "server")
_SHARES = ("uplink_hz", "downlink_hz", "cpu_hz")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Leaf(_Record):
    """A case: J ≥ `bound` for all plans still allowed here, by one of the certificate's prices."""

    prices: Whole
    bound: Number


class Split(_Record):
    """Two cases: `user` takes one of `options` (node `inside`), or none of them (`outside`)."""

    user: Whole
    options: tuple[Option, ...]
    inside: Whole
    outside: Whole


Node = Leaf | Split


@dataclass(frozen=True, eq=False)
class Incumbent:
    """A plan as columns, one entry per user in the instance's order."""

    name: Sequence[str] | Texts
    model: Sequence[str] | Texts
    place: Sequence[str] | Texts
    server: Sequence[str] | Texts
    uplink_hz: NDArray[np.float64]  # (N,)
    downlink_hz: NDArray[np.float64]
    cpu_hz: NDArray[np.float64]  # the device's frequency where place is device

    def __len__(self) -> int:
        return len(self.name)


@dataclass(frozen=True, eq=False)
class Certificate:
    """A claim about one instance: this plan costs at most `objective`, no plan less than `bound`.

    `prices` holds P sets of pool prices, (P, 3, S) in s/Hz, s/Hz and s/(cycle/s).
    """

    instance: str
    instance_sha256: str
    version: str
    objective: float
    bound: float
    gap: float
    incumbent: Incumbent
    prices: NDArray[np.float64]
    tree: tuple[Node, ...]

    @property
    def n_leaves(self) -> int:
        return sum(isinstance(node, Leaf) for node in self.tree)


def gap_above(objective: float, bound: float) -> float:
    """The least double G that satisfies U - L ≤ G |U| exactly, but for one unit in its last place.

    A quotient rounded to nearest may be too small for `verify`, which compares exactly.
    """
    if objective == 0:
        return 0.0
    gap = float((Fraction(objective) - Fraction(bound)) / abs(Fraction(objective)))
    return max(0.0, math.nextafter(gap, math.inf)) if gap > 0 else 0.0


class _Row(_Record):
    name: Name
    model: Name
    place: Place
    server: Name
    uplink_hz: NonNegative
    downlink_hz: NonNegative
    cpu_hz: NonNegative


_Pool = tuple[NonNegative, ...]


class _File(_Record):
    format: Literal["dtkd-opt/certificate/1"]
    instance: Name
    instance_sha256: Text
    version: Text
    objective: Number
    bound: Number
    gap: NonNegative
    incumbent: tuple[_Row, ...]
    prices: tuple[tuple[_Pool, ...], ...]
    tree: tuple[dict[str, Any], ...]


def read_certificate(path: str | Path) -> Certificate:
    """Read and validate a certificate file.

    Only its form is judged here; :func:`dtkd_opt.proof.verify.verify` judges what it claims.

    Raises
    ------
    InputError
        One line per fault, each with the file and the path inside it.
    """
    path = Path(path)
    data = parse_json(read_bytes(path), str(path))
    table = data.get("incumbent") if isinstance(data, dict) else None
    if isinstance(table, str):
        data = {**data, "incumbent": []}
    file = validate(_File, data, str(path))
    tree = _nodes(file.tree, str(path))
    prices = _price_array(file.prices, str(path))
    if isinstance(table, str):
        if Path(table).name != table:
            fault = "incumbent: must name a file in the same folder, without any path"
            raise InputError(str(path), [fault])
        incumbent = _read_parquet(path.parent / table)
    else:
        incumbent = _columns(file.incumbent)
    claims = file.model_dump(exclude={"format", "incumbent", "prices", "tree"})
    return Certificate(**claims, incumbent=incumbent, prices=prices, tree=tree)


def _nodes(raw: Sequence[dict[str, Any]], source: str) -> tuple[Node, ...]:
    nodes: list[Node] = []
    faults: list[str] = []
    for i, node in enumerate(raw):
        try:
            if "user" in node:
                nodes.append(validate(Split, node, source))
            else:
                nodes.append(validate(Leaf, node, source))
        except InputError as error:
            faults += [f"tree[{i}].{fault}" for fault in error.faults]
    if faults:
        raise InputError(source, faults)
    return tuple(nodes)


def _price_array(sets: Sequence[Sequence[_Pool]], source: str) -> NDArray[np.float64]:
    widths = {len(pool) for pools in sets for pool in pools}
    faults = [
        f"prices[{i}]: must be 3 lists (uplink, downlink, CPU), got {len(pools)}"
        for i, pools in enumerate(sets)
        if len(pools) != 3
    ]
    if len(widths) > 1:
        faults.append("prices: all lists must have one entry per server")
    if faults:
        raise InputError(source, faults)
    return np.array(sets, float).reshape(len(sets), 3, max(widths, default=0))


def _columns(rows: Sequence[_Row]) -> Incumbent:
    names: Any = {key: tuple(getattr(row, key) for row in rows) for key in _NAMES}
    shares: Any = {key: np.array([getattr(row, key) for row in rows], float) for key in _SHARES}
    return Incumbent(**names, **shares)


def _read_parquet(path: Path) -> Incumbent:
    """The incumbent's columns from a Parquet file; NaN and odd names are left to `verify`."""
    data = read_bytes(path)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise InputError(str(path), ["needs pyarrow; run pip install pyarrow"]) from None
    try:
        table = parquet.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(str(path), [f"is not a Parquet file: {reason}"]) from None
    faults = []
    for key in (*_NAMES, *_SHARES):
        if table.column_names.count(key) != 1:
            faults.append(f"{key}: must be given as one column")
        elif table.column(key).null_count:
            faults.append(f"{key}: must have no empty entries")
    faults += [f"{k}: is not a known column" for k in {*table.column_names} - {*_NAMES, *_SHARES}]
    if faults:
        raise InputError(str(path), sorted(faults))
    try:
        names: Any = {k: tuple(table.column(k).cast(pa.string()).to_pylist()) for k in _NAMES}
        shares = {k: table.column(k).cast(pa.float64()).to_numpy() for k in _SHARES}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        fault = f"has columns of a wrong type: {str(error).splitlines()[0]}"
        raise InputError(str(path), [fault]) from None
    return Incumbent(**names, **shares)


def write_certificate(
    certificate: Certificate, path: str | Path, *, parquet: bool | None = None
) -> None:
    """Write a certificate file atomically; `read_certificate` gives back an equal one.

    Parameters
    ----------
    certificate, path
        What to write where.
    parquet
        Whether the incumbent goes to ``STEM.incumbent.parquet`` beside the file (written first);
        by default from 100,000 users on.
    """
    path, incumbent = Path(path), certificate.incumbent
    table = f"{path.stem}.incumbent.parquet"
    if parquet is None:
        parquet = len(incumbent) >= PARQUET_FROM
    if parquet:
        write_atomic(path.parent / table, _parquet_bytes(incumbent))
    head = {
        "format": FORMAT,
        **{k: getattr(certificate, k) for k in ("instance", "instance_sha256", "version")},
        **{k: float(getattr(certificate, k)) for k in ("objective", "bound", "gap")},
    }
    parts = [f"{_json(key)}: {_json(value)}" for key, value in head.items()]
    parts.append(f'"incumbent": {_json(table) if parquet else _lines(_rows(incumbent))}')
    parts.append(f'"prices": {_lines(np.asarray(certificate.prices).tolist())}')
    parts.append(f'"tree": {_lines([node.model_dump() for node in certificate.tree])}')
    write_atomic(path, ("{" + ",\n ".join(parts) + "}\n").encode())


def _rows(incumbent: Incumbent) -> list[dict[str, Any]]:
    keys = (*_NAMES, *_SHARES)
    columns = [getattr(incumbent, k) for k in _NAMES]
    columns += [np.asarray(getattr(incumbent, k), float).tolist() for k in _SHARES]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def _parquet_bytes(incumbent: Incumbent) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    columns: dict[str, Any] = {k: list(getattr(incumbent, k)) for k in _NAMES}
    columns |= {k: np.asarray(getattr(incumbent, k), float) for k in _SHARES}
    stream = io.BytesIO()
    parquet.write_table(pa.table(columns), stream, compression="zstd")
    return stream.getvalue()


def _lines(items: Sequence[Any]) -> str:
    """A JSON list, one line per entry."""
    return "[\n  " + ",\n  ".join(map(_json, items)) + "]" if items else "[]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
