"""Users that cannot be carried out are named, and the others are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dtkd_opt as do
from tests.support.federating import lines, run, users, words, write
from tests.support.paths import DATA

FAULT = "users[0].samples: must be at least 10, as many as digits has classes, got 3"
FLOWER = pytest.mark.skipif(find_spec("flwr") is None, reason="needs the extra federated")


def case() -> do.Instance:
    """Four users, the first with 3 samples."""
    return do.read_instance(DATA / "edge" / "federate-small-user.json")


@pytest.fixture(scope="module")
def few() -> do.Instance:
    """The same with the student that is trained fastest."""
    return case().replace(models=case().models[:1])


@pytest.fixture(scope="module")
def few_plan(few: do.Instance) -> do.Solution:
    return do.solve(few).solution


def test_a_user_with_too_few_samples_is_named_and_the_others_are_trained(
    few: do.Instance, few_plan: do.Solution, cache: Path, tmp_path: Path
) -> None:
    output = tmp_path / "o"
    given = words(write(few, few_plan, tmp_path), cache, output)
    done = run(given)
    assert (done.returncode, done.stderr) == (1, f"failed: u0: {FAULT}\n")
    assert "3 of 4" in done.stdout
    found = users(output)
    assert found.outcome.tolist() == ["failed", "done", "done", "done"]
    assert found.reason.tolist()[0] == FAULT
    assert f"## Failed\n\n- u0: {FAULT}\n" in (output / "summary.md").read_text()
    kept, spec = lines(output), do.FederationSpec(cache=cache)
    again = do.federate(few, few_plan, spec, output=output, resume=True)
    assert again.failed.reason.tolist() == [FAULT]
    assert lines(output) == kept  # the others were not trained again
    pd.testing.assert_frame_equal(users(output), found)


def test_strict_trains_nobody(few: do.Instance, few_plan: do.Solution, tmp_path: Path) -> None:
    output = tmp_path / "o"
    done = run(words(write(few, few_plan, tmp_path), tmp_path / "t", output, "--strict"))
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / 'i.json'}: {FAULT}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.json", "s.json"]


@FLOWER
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["in-process", "flower", "flower-simulation"])
def test_every_engine_trains_the_others(cache: Path, engine: Any) -> None:
    spec = do.FederationSpec(engine=engine, cache=cache, jobs=2)
    found = do.federate(case(), do.solve(case()), spec)
    assert found.done.name.tolist() == ["u1", "u2", "u3"]
    assert found.failed.reason.tolist() == [FAULT]


def test_where_nobody_can_be_carried_out_all_are_named(few: do.Instance, tmp_path: Path) -> None:
    nobody = few.replace(users=tuple(user.replace(samples=9) for user in few.users))
    with pytest.raises(do.InputError) as raised:
        do.federate(nobody, do.solve(nobody), output=tmp_path / "o")
    assert raised.value.faults == tuple(
        FAULT.replace("[0]", f"[{n}]").replace("got 3", "got 9") for n in range(4)
    )
    assert list(tmp_path.iterdir()) == []
