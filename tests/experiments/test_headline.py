"""experiments/headline.py: verdicts in words, the files, and all of it on four users."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dtkd_opt as do
from dtkd_opt.records.instance import Instance
from tests.support.federating import calibrated, instance
from tests.support.paths import INSTANCES

FILES = ["headline.csv", "headline.md", "headline.svg", "headline_runs.csv"]
# by method: accuracies of two seeds, delays of two seeds
FOUND = {
    "hard labels": ((0.70, 0.71), (60.0, 60.0)),
    "all-server": ((0.80, 0.81), (120.0, 120.0)),
    "random": ((0.70, 0.90), (90.0, 190.0)),
    "greedy": ((0.80, 0.83), (90.0, 90.0)),
    "q-learning cold": ((0.81, 0.83), (100.0, 100.0)),
    "price": ((0.81, 0.83), (100.0, 100.0)),
    "price, delay of greedy": ((0.815, 0.835), (88.0, 88.0)),
    "fedavg": ((0.84, 0.85), (70.0, 70.0)),
}


@pytest.fixture
def headline(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """The experiment's two modules."""
    monkeypatch.syspath_prepend(str(INSTANCES.parent / "experiments"))
    import headline as runs
    import headline_report as show

    yield runs, show
    for name in ("headline", "headline_show", "headline_sums", "headline_words", "common"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def front() -> do.ParetoFront:
    return do.pareto(do.read_instance(INSTANCES / "n10.json"), points=5)


def rows(partition: str = "iid") -> list[dict[str, Any]]:
    return [
        {
            "partition": partition, "seed": seed, "method": method, "mean_accuracy": accuracy,
            "predicted_accuracy": 0.8, "total_delay_s": delay, "students": "logreg:10",
            "at_server": 0, "teacher_accuracy": 0.9,
        }
        for method, both in FOUND.items()
        for seed, (accuracy, delay) in enumerate(zip(*both, strict=True))
    ]  # fmt: skip


def test_exceptions_are_named_from_the_numbers(
    headline: tuple[Any, Any], front: do.ParetoFront
) -> None:
    show = headline[1]
    found = show.summarise(show.with_objective(pd.DataFrame(rows()), front.instance))
    by_method = {row["method"]: row for row in found}
    assert {method: row["verdict"] for method, row in by_method.items()} == {
        "hard labels": "trade-off", "all-server": "holds", "random": "holds",
        "greedy": "trade-off", "q-learning cold": "equal", "price": "", "fedavg": "beaten",
        "price, delay of greedy": "holds",
    }  # fmt: skip
    server = by_method["all-server"]
    assert (server["ahead_accuracy"], server["ahead_delay_s"]) == (0.015, 20)
    assert server["objective"] == pytest.approx(120 / 10 + 100 * (1 - 0.805))
    # Student's t of two: 12.706 standard errors
    assert server["ahead_accuracy_high"] == pytest.approx(0.015 + 12.7062 * 0.005, rel=1e-4)
    matched = by_method["price, delay of greedy"]
    assert matched["ahead_accuracy"] == pytest.approx(0.01)
    assert (matched["ahead_accuracy_low"], matched["ahead_delay_s"]) == pytest.approx(
        (-0.0535, 2), abs=1e-4
    )
    words = "\n".join(claims_of(headline, found, front))
    assert (
        "With no more delay than theirs, a joint optimum has more accuracy, or as much in less\n"
        "time, than greedy (accuracy not certain).\n" in words
    )
    assert (
        "is ahead, and worse in neither figure, of\nall-server (accuracy not certain), random "
        "(accuracy and delay not certain).\n" in words
    )
    assert (
        "- Exception: hard labels: it has 11.50 points less accuracy and 40.00 s less total delay, "
        "and 7.50 s more J. The joint optimum that needs no more delay (" in words
    )
    assert (
        "The joint optimum that needs no more delay (88.00 s) has 1.00 points more accuracy "
        "[-5.35, +7.35]." in words
    )
    assert "- q-learning cold finds a plan of the same figures." in words
    assert (
        "- Beaten by fedavg: it has 2.50 points more accuracy and 30.00 s less total delay"
        " (accuracy not certain), and 5.50 s less J." in words
    )


def claims_of(
    headline: tuple[Any, Any], found: list[dict[str, Any]], front: do.ParetoFront
) -> list[str]:
    return list(headline[1].page_lines.__globals__["claims"](found, front))


def test_where_no_joint_optimum_is_better_is_told(
    headline: tuple[Any, Any], front: do.ParetoFront
) -> None:
    show = headline[1]
    better = [row | ({"mean_accuracy": 0.9} if row["method"] == "greedy" else {}) for row in rows()]
    found = show.summarise(show.with_objective(pd.DataFrame(better), front.instance))
    words = claims_of(headline, found, front)
    assert words[1] == "time, than none."
    assert words[2] == (
        "- Exception: greedy: The joint optimum that needs no more delay (88.00 s) has 7.50 points "
        "less accuracy [-20.21, +5.21]."
    )
    like = [row | ({"mean_accuracy": 0.82, "total_delay_s": 90.0} if row["method"] == "greedy"
                   else {}) for row in rows()]  # fmt: skip
    found = show.summarise(show.with_objective(pd.DataFrame(like), front.instance))
    assert any("it has as much accuracy and" in line for line in claims_of(headline, found, front))


@pytest.mark.parametrize("fault", ["seed", "baseline", "figure"])
def test_nothing_is_compared_with_what_is_missing(headline: tuple[Any, Any], fault: str) -> None:
    broken = rows()
    if fault == "figure":
        broken[0]["mean_accuracy"] = float("nan")
    else:
        broken = [
            row
            for row in broken
            if row["method"] != "greedy" or (fault, row["seed"]) == ("seed", 1)
        ]
    with pytest.raises(do.DtkdError, match="a run is missing, or a figure of one"):
        headline[1].summarise(pd.DataFrame(broken))


def test_the_files_have_both_partitions_and_every_method(
    headline: tuple[Any, Any], front: do.ParetoFront, tmp_path: Path
) -> None:
    show = headline[1]
    both = rows() + rows("dirichlet(0.3)")
    fedavg_plan = do.plan_fedavg(front.instance)
    show.write_all(tmp_path, both, front, [fedavg_plan], ["command: a"])
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    frame = pd.read_csv(tmp_path / "headline.csv", comment="#")
    assert frame.method.tolist() == 2 * list(FOUND)
    assert len(pd.read_csv(tmp_path / "headline_runs.csv", comment="#")) == len(both)
    page = (tmp_path / "headline.md").read_text()
    assert "| all-server | 80.50% [74.15, 86.85] | 80.00% | 120.00 | 31.500 |" in page
    assert f"Of all students {fedavg_plan.student} has the least J" in page
    figure = show.draw(frame.to_dict("records"), front)
    assert [axis.get_title() for axis in figure.axes] == ["iid", "dirichlet(0.3)"]
    _, labels = figure.axes[0].get_legend_handles_labels()
    assert {name for name in FOUND if not name.startswith(show.MATCHED)} <= set(labels)
    assert sum(label.startswith(show.MATCHED) for label in set(labels)) == 1
    for axis in figure.axes:
        assert len(axis.containers) == len(FOUND)


@pytest.mark.slow
def test_all_of_it_and_once_more_from_what_is_kept(
    headline: tuple[Any, Any], tmp_path: Path
) -> None:
    problem: Instance = instance()
    setting = headline[0].Setting(
        problem,
        do.FederationSpec(calibration=calibrated(problem), cache=tmp_path / "t"),
        2,
        tmp_path / "w",
    )
    headline[0].measure(setting, tmp_path, ["command: a"])
    frame = pd.read_csv(tmp_path / "headline.csv", comment="#")
    wanted = {"hard labels", "fedavg", *headline[0].SOLVED}
    for partition in ("iid", "dirichlet(0.3)"):
        assert wanted <= set(frame.method[frame.partition == partition])
    assert frame.mean_accuracy.min() > 0.3  # a guess is right one time in ten
    before = [(tmp_path / name).read_bytes() for name in FILES]
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    assert len(kept) == 5
    headline[0].measure(setting, tmp_path, ["command: a"])
    assert [(tmp_path / name).read_bytes() for name in FILES] == before
    assert all(path.read_bytes() == data for path, data in kept.items())
