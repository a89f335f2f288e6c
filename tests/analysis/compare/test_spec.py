"""Settings of methods in `compare`: from records, mappings, a TOML file and options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dtkd_opt as do
from dtkd_opt.analysis.compare.run import execute
from dtkd_opt.analysis.compare.spec import build_specs, name_methods
from dtkd_opt.methods.dqn.network import safetensors
from dtkd_opt.records.files import sha256
from tests.methods.dqn.test_network import network_files
from tests.support.comparing import FILE, N5, run, words

COLD = {"method": "q-learning", "cold": True, "rounds": 30}


def settings_of(label: str, tables: dict[str, Any]) -> dict[str, Any]:
    """The settings in the spec of a run of the label."""
    ((_, found),) = build_specs([do.read_instance(N5)], [label], tables, 1, (1e-6, None, None))
    return found.settings


def test_one_method_with_two_settings_side_by_side(tmp_path: Path) -> None:
    """A label's plan is that of `solve` with its settings; the unused table is not looked at."""
    file = tmp_path / "mine.toml"
    file.write_text(FILE)
    chosen = ["--method", "q-learning cold", "--gap", "0", "--params", str(file)]
    done = run([*words(N5, methods="q-learning", output=tmp_path / "out"), *chosen])
    assert (done.returncode, done.stderr) == (0, "")
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert runs.label.tolist() == ["q-learning"] * 2 + ["q-learning cold"] * 2
    assert set(runs.method) == {"q-learning"}
    assert (
        runs.settings.str.contains('"cold": true, "rounds": 30').tolist()
        == [False] * 2 + [True] * 2
    )
    warm, cold = do.QLearning(rounds=20), do.QLearning(cold=True, rounds=30)
    want = [
        do.solve(do.read_instance(N5), method, seed=seed, gap=0.0).objective
        for method in (warm, cold)
        for seed in range(2)
    ]
    assert runs.incumbent_objective.tolist() == want
    assert len(set(want)) == 3  # of cold ones the seeds differ
    summary = pd.read_csv(tmp_path / "out" / "summary.csv")
    assert summary.label.tolist() == ["q-learning", "q-learning cold"]
    assert summary.incumbent_objective_max.tolist() == [max(want[:2]), max(want[2:])]
    assert "q-learning cold" in (tmp_path / "out" / "gap_over_time.svg").read_text()


def test_settings_may_be_records_or_mappings_and_all_are_kept() -> None:
    record = do.QLearning(cold=True)
    assert settings_of("q-learning", {"q-learning": record}) == record.model_dump()
    assert settings_of("q-learning", {"q-learning": {"cold": True}}) == record.model_dump()
    assert settings_of("q-learning", {}) == do.QLearning().model_dump()
    assert settings_of("x", {"x": COLD}) == do.QLearning(cold=True, rounds=30).model_dump()
    assert settings_of("greedy", {"x": COLD, "exact": {"max_rounds": 0}}) == {}


def test_exact_has_one_thread_where_the_user_does_not_say() -> None:
    for given, threads in (
        ({}, 1),
        ({"exact": {"highs": {"mip_rel_gap": 1e-3}}}, 1),
        ({"exact": do.Exact(fixing=False)}, 1),
        ({"exact": {"highs": {"threads": 0}}}, 0),
        ({"exact": do.Exact(highs=do.HighsSettings(threads=2))}, 2),
    ):
        assert settings_of("exact", given)["highs"]["threads"] == threads
    assert settings_of("exact", {"exact": do.Exact(fixing=False)})["fixing"] is False


def test_other_settings_are_another_spec(tmp_path: Path) -> None:
    instance = do.read_instance(N5)

    def compare(**settings: Any) -> do.Comparison:
        mine = {"mine": COLD | settings}
        return do.compare([instance], ["mine"], settings=mine, seeds=1, output=tmp_path)

    first = compare().runs.runtime_s.tolist()
    assert compare(epsilon=0.5).runs.runtime_s.tolist() == first  # kept: the default
    with pytest.raises(do.InputError) as error:
        compare(rounds=40)
    differing = "(settings.rounds 30 where now 40)"
    assert f"holds other runs {differing}; name another folder" in str(error.value)


def test_a_network_that_was_trained_anew_is_another_spec(tmp_path: Path) -> None:
    card = network_files(tmp_path)
    weights, output = card.with_suffix(".safetensors"), tmp_path / "out"

    def compare(methods: Sequence[str] = ("dqn",)) -> do.Comparison:
        chosen = {"dqn": do.DQN(network=card, rounds=2)}
        given = {"settings": chosen, "seeds": 1, "output": output, "jobs": 1}
        return do.compare([do.read_instance(N5)], methods, **given)

    (first,) = compare().records
    assert first.spec.files == {file.name: sha256(file.read_bytes()) for file in (card, weights)}
    assert compare().records[0].runtime_s == first.runtime_s  # kept
    tensors = safetensors.torch.load(weights.read_bytes())
    tensors["linear.bias"] += 1
    weights.write_bytes(safetensors.torch.save(tensors))
    with pytest.raises(
        do.InputError, match=r"holds other runs \(files\.dqn\.safetensors \w{64} where"
    ):
        compare()
    row = execute(do.read_instance(N5), first.spec)  # as at a worker that has other files
    assert (row.outcome, "holds something else here" in row.reason) == ("failed", True)
    for damage in (lambda: weights.write_bytes(b"cut"), weights.unlink, card.unlink):
        damage()
        before = (output / "runs.jsonl").read_bytes()
        with pytest.raises(do.InputError, match=r"dqn\.(json|safetensors): (no such|is no)"):
            compare(["greedy", "dqn"])
        assert (output / "runs.jsonl").read_bytes() == before


def test_methods_may_be_given_with_their_settings() -> None:
    methods = [do.Greedy(), do.QLearning(cold=True), "random", "cold"]
    labels, settings = name_methods(methods, {"cold": COLD})
    assert labels == ["greedy", "q-learning", "random", "cold"]
    assert settings_of("q-learning", dict(settings))["cold"]
    assert settings_of("cold", dict(settings))["rounds"] == 30


@pytest.mark.parametrize(
    ("methods", "line"),
    [
        ([do.Exact(), do.Exact(fixing=False)], 'method "exact" is given twice; name others in'),
        ([do.QLearning()], 'method "q-learning" is given twice'),  # in the settings, too
        ([lambda search, seed, params: "heuristic_end"], "must be of an installed package"),
    ],
)
def test_methods_that_no_label_tells_apart_are_refused(methods: list[Any], line: str) -> None:
    with pytest.raises(do.UsageError, match=line):
        do.compare([do.read_instance(N5)], methods, settings={"q-learning": {"cold": True}})


@pytest.mark.parametrize(
    ("settings", "error", "line"),
    [
        ({"greedy": {"start": 3}}, do.InputError, "greedy takes no settings, got start"),
        ({"price": do.QLearning()}, do.UsageError, "holds no settings of price"),
        (
            {"price": 3},
            do.InputError,
            "settings: price: must be a table of settings, [price], got 3",
        ),
        (
            {"cold": {"cold": True}},
            do.InputError,
            "settings: cold: there is no such method; choose",
        ),
        ({"x": {"method": "y"}}, do.InputError, "settings: x.method: must be one of price, exact"),
        ({" ": COLD}, do.InputError, "settings: ' ': is no name; must be a text"),
        ({3: COLD}, do.InputError, "settings: 3: is no name; must be a text that can be printed"),
        ({"auto": COLD}, do.InputError, "settings: auto: there is no such method"),
        (
            {"x": {"method": "exact", "highs": {"options": {"y": object()}}}},
            do.UsageError,
            "settings [x]: cannot be written as JSON",
        ),
        (do.QLearning(), do.UsageError, "settings must map names of methods"),
        (
            {"x": COLD | {"rounds": 0}},
            do.InputError,
            "settings [x]: rounds: must be at least 1, got 0",
        ),
    ],
)
def test_wrong_settings_are_refused_before_anything_runs(
    settings: Any, error: type[do.DtkdError], line: str, tmp_path: Path
) -> None:
    methods = ["price", "greedy"]
    if isinstance(settings, dict) and "x" in settings:
        methods.append("x")
    with pytest.raises(error) as error_info:
        do.compare([do.read_instance(N5)], methods, settings=settings, output=tmp_path / "out")
    assert line in str(error_info.value)
    assert "\n" not in str(error_info.value)
    assert not (tmp_path / "out").exists()
