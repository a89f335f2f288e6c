"""`maximise_bound`: valid bounds, its ends, and large instances lose nothing by screening."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

import dtkd_opt as do
from dtkd_opt.pricing import bundle
from dtkd_opt.pricing import lagrangian as prices
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.pricing.lagrangian import DualPoint, Lagrangian, price
from dtkd_opt.records.arrays import Array
from tests.support.options import all_choices, constrained_options, mean_objective, random_options

LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)


@pytest.mark.parametrize("seed", range(6))
def test_no_visited_value_exceeds_the_optimum_with_limits(seed: int) -> None:
    options = constrained_options(seed, 3, 1 + seed % 2, 0.85, 1.2)
    optimum = options.n_users * min(mean_objective(options, c) for c in all_choices(options))
    visited: list[DualPoint] = []
    maximise_bound(options, callback=visited.append)
    for point in visited:
        rounding = 1e-12 * float((point.prices * options.capacity).sum())
        assert point.value <= optimum * (1 + 1e-12) + rounding


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_a_target_stops_early(limits: do.GeneratorSettings | None) -> None:
    options = do.build_options(do.generate_instance(30, 2, 5, limits))
    all_visited: list[DualPoint] = []
    best = maximise_bound(options, callback=all_visited.append)
    target = best.value * (1 - 1e-3)
    visited: list[DualPoint] = []
    point = maximise_bound(options, target=target, callback=visited.append)
    assert len(visited) < len(all_visited)
    assert point.value >= target
    assert all(earlier.value < target for earlier in visited[:-1])
    assert maximise_bound(options, target=-math.inf).value == visited[0].value


def shrink(monkeypatch: pytest.MonkeyPatch, box: float) -> list[int]:
    """Make tables of 1,801 options large; the sizes of what screening keeps are noted."""
    monkeypatch.setattr(bundle, "LARGE", 1800)
    monkeypatch.setattr(bundle, "BOX_WIDTH", box)
    monkeypatch.setattr(prices, "BLOCK", 500)
    kept: list[int] = []
    screen = Lagrangian.screen

    def noted(self: Lagrangian, low: Array, high: Array) -> Array:
        rows = screen(self, low, high)
        kept.append(len(rows))
        return rows

    monkeypatch.setattr(Lagrangian, "screen", noted)
    return kept


@pytest.mark.parametrize("box", [0.2, 0.05])
@pytest.mark.parametrize(
    ("users", "servers", "limits"),
    [(300, 1, None), (150, 3, None), (200, 2, LIMITS)],
)
def test_many_options_get_the_same_bound(
    users: int,
    servers: int,
    limits: do.GeneratorSettings | None,
    box: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = do.build_options(do.generate_instance(users, servers, 7, limits))
    assert options.constrained == (limits is not None)
    expected = maximise_bound(options, tolerance=1e-11)
    kept = shrink(monkeypatch, box)
    assert len(options) > bundle.LARGE
    visited: list[DualPoint] = []
    found = maximise_bound(options, tolerance=1e-11, callback=visited.append)
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert found.cost.shape == (len(options),)
    assert found.value == price(options, found.prices).value
    assert found.value == visited[-1].value
    assert len(kept) >= len(visited)
    assert kept[-1] < len(options) * 2 / 3


@pytest.mark.parametrize("box", [0.2, 0.02, 0.002])
@pytest.mark.parametrize("limits", [None, LIMITS])
def test_a_box_that_is_too_narrow_is_left(
    limits: do.GeneratorSettings | None, box: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started far from the best prices, the box moves or grows until the best is inside it."""
    options = do.build_options(do.generate_instance(250, 2, 3, limits))
    expected = maximise_bound(options, tolerance=1e-11)
    shrink(monkeypatch, box)
    visited: list[DualPoint] = []
    start = 1.5 * expected.prices
    found = maximise_bound(options, start, tolerance=1e-11, callback=visited.append)
    assert len(visited) > 1
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert all(point.value <= expected.value * (1 + 1e-9) for point in visited)


def test_many_options_stop_at_their_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rounds than a target needs, though a tighter bound exists."""
    options = random_options(250, 2, 3)
    expected = maximise_bound(options)
    shrink(monkeypatch, 0.05)
    visited: list[DualPoint] = []
    point = maximise_bound(options, target=0.5 * expected.value, callback=visited.append)
    assert point.value >= 0.5 * expected.value
    assert len(visited) == 1


def test_many_options_out_of_time_keep_a_valid_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    options = random_options(250, 2, 3)
    expected = maximise_bound(options)
    shrink(monkeypatch, 0.2)
    found = maximise_bound(options, ends_at=-math.inf)
    assert found.value < expected.value
    assert found.value == price(options, found.prices).value


def test_a_subsample_keeps_pools_in_proportion() -> None:
    """Copies of one user have the same prices as their subsample."""
    one = do.generate_instance(1, 1, 0)
    people = tuple(one.users[0].replace(name=f"u{n}") for n in range(12))
    options = do.build_options(one.replace(users=people))
    sample = options.subsample(4)
    assert sample.n_users == 3
    whole, part = maximise_bound(options), maximise_bound(sample)
    assert part.value * 4 == pytest.approx(whole.value, rel=1e-8)
    again = price(replace(options), part.prices)
    assert again.value == pytest.approx(whole.value, rel=1e-7)
