"""The commands `generate` and `export`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import dtkd_opt as do
from dtkd_opt.commands.main import cli
from tests.support.command_line import run
from tests.support.paths import INSTANCES


def test_generate_is_reproducible(tmp_path: Path) -> None:
    for name in ("a", "b"):
        words = ["generate", "--users", "12", "--servers", "3", "--seed", "4", "--deadlines", "0.5"]
        done = run(*words, "--name", "x", "--output", tmp_path / f"{name}.json")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_many_users_go_into_a_table_beside_the_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    done = run("generate", "--users", "200000", "--output", tmp_path / "n.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"written: {tmp_path}/n.json and {tmp_path}/n.parquet (generated: 200000" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["n.json", "n.parquet"]
    assert (tmp_path / "n.json").stat().st_size < 5000
    assert do.read_instance(tmp_path / "n.json") == do.generate_instance(200_000)


@pytest.mark.parametrize("format_", ["nl", "lp", "mps"])
def test_export_writes_a_model(format_: str, tmp_path: Path) -> None:
    file = tmp_path / f"m.{format_}"
    done = run("export", INSTANCES / "n5.json", "--format", format_, "--output", file)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert file.stat().st_size > 1000


def test_an_export_that_misses_its_promise_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtkd_opt.analysis.export.export", lambda *_, **__: 2e-3)
    words = ["export", str(INSTANCES / "n5.json"), "--format", "lp"]
    done = CliRunner().invoke(cli, [*words, "--output", str(tmp_path / "m.lp")])
    assert isinstance(done.exception, do.DtkdError)
    assert done.exception.exit_code == 1
    assert "may lie a relative 2.0e-03 below J, more than the promised 1e-06" in str(done.exception)
