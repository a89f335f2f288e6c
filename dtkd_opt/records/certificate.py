"""Certificates: a plan, prices and a tree of cases that together prove a gap, as files.

The file format, and what it claims, is documented in instances/CERTIFICATE.md. Users are columns,
so that a million of them are seven arrays; above 100,000 they go to a Parquet file beside the JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError, field_validator

from dtkd_opt.errors import InputError, printable
from dtkd_opt.records.accuracy import Place
from dtkd_opt.records.arguments import as_file, as_flag, as_kind
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.fields import (
    Name,
    NonNegative,
    Number,
    Record,
    Text,
    Whole,
    raise_faults,
)
from dtkd_opt.records.files import read_json
from dtkd_opt.records.json_text import to_json
from dtkd_opt.records.parquet import (
    Storage,
    parquet_path,
    read_parquet,
    referenced_parquet,
    write_with_parquet,
)
from dtkd_opt.records.plan import PlanRows
from dtkd_opt.records.streams import source_name
from dtkd_opt.records.validation import fault_lines, validate

FORMAT: Literal["dtkd-opt/certificate/1"] = "dtkd-opt/certificate/1"

Option = tuple[Whole, Place, Whole]  # model, place, server


class LeafNode(Record):
    """A case: J ≥ `bound` for all plans still allowed here, by one of the certificate's prices."""

    prices: Whole  # number of the set of prices
    bound: Number  # on J [s]


class SplitNode(Record):
    """Two cases: `user` takes one of `options` (node `inside`), or none of them (`outside`)."""

    user: Whole  # its number
    options: tuple[Option, ...]  # (model, place, server) each, by number but the place
    inside: Whole  # number of the node
    outside: Whole  # number of the node


Node = LeafNode | SplitNode


@dataclass(frozen=True, eq=False)
class Certificate:
    """A claim: this plan costs at most `objective`, and no plan less than `bound`."""

    instance: str  # its name
    instance_sha256: str  # of the instance's file or contents
    version: str  # of dtkd-opt
    objective: float  # J that the incumbent costs at most [s]
    bound: float  # J that every plan costs at least [s]
    gap: float  # (objective - bound) / |objective|, at most
    incumbent: PlanRows  # the plan
    prices: Array  # (P, 3, S) sets of prices of the pools [s/Hz, s/Hz, s/(cycle/s)]
    tree: tuple[Node, ...]  # of cases, from the root, which is node 0

    def __repr__(self) -> str:
        figures = f"objective {self.objective:.6g}, bound {self.bound:.6g}, gap {self.gap:.1e}"
        return f"<Certificate of {printable(self.instance)}: {figures}, {self.n_leaves} leaves>"

    @property
    def n_leaves(self) -> int:
        """How many cases the proof has."""
        return sum(isinstance(node, LeafNode) for node in self.tree)


def gap_above(objective: float, bound: float) -> float:
    """The smallest double G with U - L ≤ G |U| exactly, but for one unit in its last place.

    A quotient rounded to nearest may be too small for `verify`, which compares exactly.
    """
    if objective == 0:
        return 0.0
    gap = float((Fraction(objective) - Fraction(bound)) / abs(Fraction(objective)))
    return max(0.0, math.nextafter(gap, math.inf)) if gap > 0 else 0.0


Pool = tuple[NonNegative, ...]


class CertificateFile(Record):
    """A certificate as it stands in its file."""

    format: Literal["dtkd-opt/certificate/1"] = FORMAT
    instance: Name
    instance_sha256: Text
    version: Text
    objective: Number
    bound: Number
    gap: NonNegative
    incumbent: PlanRows
    prices: tuple[tuple[Pool, ...], ...]
    tree: tuple[Node, ...]

    @field_validator("tree", mode="before")
    @classmethod
    def _read_tree(cls, tree: Any) -> Any:
        """Each node as what its keys say it is, so that faults are those of its kind alone."""
        if not isinstance(tree, list):
            return tree
        nodes: list[Node] = []
        faults: list[str] = []
        for i, node in enumerate(tree):
            kind = SplitNode if isinstance(node, dict) and "user" in node else LeafNode
            try:
                nodes.append(kind.model_validate(node))
            except ValidationError as error:
                faults += fault_lines(error, (i,))
        raise_faults(faults)
        return nodes


def as_certificate(given: Certificate) -> Certificate:
    """The certificate itself; UsageError where it is none."""
    return as_kind(Certificate, given, "certificate must be a Certificate: read_certificate(...)")


def read_certificate(path: str | Path) -> Certificate:
    """Read and validate a certificate file.

    Only its form is judged here; :func:`dtkd_opt.proof.verify.verify` judges what it claims.

    Parameters
    ----------
    path
        A JSON file in the format ``dtkd-opt/certificate/1``, also compressed (``.json.gz``); "-"
        is standard input.

    Returns
    -------
    Certificate
        With its plan, also where that is in a Parquet file beside it.

    Raises
    ------
    InputError
        One line per fault, each with the file and the path inside it.
    """
    path = as_file(path)
    data, source = read_json(path), source_name(path)
    if plan_table := referenced_parquet(data, path, "incumbent"):
        data["incumbent"] = read_parquet(PlanRows, plan_table)
    file = validate(CertificateFile, data, source)
    held = dict(file) | {"prices": _price_array(file.prices, source)}
    del held["format"]
    return Certificate(**held)


def _price_array(sets: Sequence[Sequence[Pool]], source: str) -> Array:
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


def write_certificate(
    certificate: Certificate, path: str | Path, *, parquet: bool | None = None
) -> tuple[Path, ...]:
    """Write a certificate file atomically; `read_certificate` gives back an equal one.

    Parameters
    ----------
    certificate, path
        What to write, and where.
    parquet
        Whether the incumbent goes to ``STEM.incumbent.parquet`` beside the file (written first);
        by default from 100,000 users on, but never to "-" (standard output).

    Returns
    -------
    tuple of Path
        The files written.
    """
    storage: Storage = "auto"
    if parquet is not None:
        storage = "parquet" if as_flag(parquet, "parquet") else "json"
    path, incumbent = as_file(path), as_certificate(certificate).incumbent
    plan_table = parquet_path(path, storage, len(incumbent), ".incumbent")
    to_bytes = partial(_to_bytes, certificate)
    return write_with_parquet(path, incumbent, plan_table, to_bytes)


def _to_bytes(certificate: Certificate, plan_table: str | None) -> bytes:
    head = {
        "format": FORMAT,
        **{k: getattr(certificate, k) for k in ("instance", "instance_sha256", "version")},
        **{k: float(getattr(certificate, k)) for k in ("objective", "bound", "gap")},
        "incumbent": plan_table or certificate.incumbent.to_rows(),
        "prices": np.asarray(certificate.prices).tolist(),
        "tree": [node.model_dump() for node in certificate.tree],
    }
    return to_json(head)
