"""Certificates as files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.records.certificate import Certificate, LeafNode, gap_above
from dtkd_opt.records.plan import PlanRows
from tests.support.certificates import root_certificate, tree_certificate
from tests.support.verifying import (
    load,
)

pytest.importorskip("flint")


def same(a: Certificate, b: Certificate) -> bool:
    simple = ("instance", "instance_sha256", "version", "objective", "bound", "gap", "tree")
    return (
        all(getattr(a, key) == getattr(b, key) for key in simple)
        and a.prices.shape == b.prices.shape
        and (a.prices == b.prices).all()
        and a.incumbent == b.incumbent
    )


@pytest.mark.parametrize("parquet", [None, True])
def test_round_trip(tmp_path: Path, parquet: bool | None) -> None:
    if parquet:
        pytest.importorskip("pyarrow")
    instance = load("n10-s3")
    certificate = tree_certificate(instance, 6, seed=3)
    file = tmp_path / "c.json"
    do.write_certificate(certificate, file, parquet=parquet)
    assert same(do.read_certificate(file), certificate)
    assert do.verify(instance, do.read_certificate(file)) == []
    names = {path.name for path in tmp_path.iterdir()}
    assert names == ({"c.json", "c.incumbent.parquet"} if parquet else {"c.json"})


def test_large_incumbents_go_to_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    size = 100_000
    names = tuple(f"u{n}" for n in range(size))
    share = np.linspace(0.0, 1.0, size)
    texts = {key: [key[0]] * size for key in ("model", "server")}
    shares = dict.fromkeys(("uplink_hz", "downlink_hz", "cpu_hz"), share)
    plan = PlanRows.from_columns(name=names, place=["device"] * size, **texts, **shares)
    certificate = Certificate(
        instance="big", instance_sha256="0", version="0", objective=1.0, bound=0.0, gap=1.0,
        incumbent=plan, prices=np.zeros((1, 3, 1)), tree=(LeafNode(prices=0, bound=0.0),),
    )  # fmt: skip
    do.write_certificate(certificate, tmp_path / "big.json")
    assert (tmp_path / "big.json").stat().st_size < 1000
    assert same(do.read_certificate(tmp_path / "big.json"), certificate)


def test_faulty_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file, plan_table = tmp_path / "c.json", tmp_path / "c.incumbent.parquet"
    do.write_certificate(root_certificate(load("n5")), file, parquet=True)
    original = parquet.read_table(plan_table)

    def fault() -> str:
        with pytest.raises(do.InputError) as caught:
            do.read_certificate(file)
        return str(caught.value)

    parquet.write_table(original.drop_columns(["cpu_hz"]), plan_table)
    assert fault() == f"{plan_table}: cpu_hz: is missing; must be given"
    empty = pa.array([None, *original["model"].to_pylist()[1:]])
    parquet.write_table(original.set_column(1, "model", empty), plan_table)
    assert fault() == f"{plan_table}: incumbent[0].model: must be a text in quotes, got null"
    parquet.write_table(original.set_column(4, "uplink_hz", original["name"]), plan_table)
    assert (
        fault() == f"{plan_table}: uplink_hz: must be a column of numbers, got one of type string"
    )
    parquet.write_table(original.append_column("more", original["name"]), plan_table)
    assert fault() == f"{plan_table}: more: is not a known column; remove or rename it"
    plan_table.write_bytes(b"PAR1 not at all PAR1")
    assert fault() == f"{plan_table}: is not a Parquet file, or is damaged"
    plan_table.unlink()
    assert fault() == f"{plan_table}: no such file"
    file.write_text(file.read_text().replace(plan_table.name, "../c.parquet"))
    assert "incumbent: must be a list in [ ] or the name of a .parquet file in the same" in fault()


@pytest.mark.parametrize(("upper", "lower"), [(18.7, 18.6), (1.0, 1 / 3), (0.0, 0.0), (5.0, 5.0)])
def test_gap_above(upper: float, lower: float) -> None:

    gap = gap_above(upper, lower)
    assert Fraction(upper) - Fraction(lower) <= Fraction(gap) * abs(Fraction(upper))
    assert gap == pytest.approx((upper - lower) / upper if upper else 0.0, rel=1e-15)
