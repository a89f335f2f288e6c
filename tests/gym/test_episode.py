"""Decisions in turn: what they are worth, where options stand, what users see of them."""

from __future__ import annotations

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.gym.episode import Episode, Slots, count_ranks, make_slots, observation_size
from dtkd_opt.pricing.equal_shares import equal_share_choice
from dtkd_opt.problem.options import Options, pool_delays
from tests.support.options import constrained_options, mean_objective, random_choice, random_options

SEEDS = range(6)


def slots_of(options: Options) -> Slots:
    return make_slots(options, int(options.model.max()) + 1, count_ranks(options))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_option_has_one_slot_that_tells_what_it_is(seed: int) -> None:
    options = random_options(8, 1 + seed, seed)
    slots = slots_of(options)
    user, slot = np.nonzero(slots.rows >= 0)
    rows = slots.rows[user, slot]
    assert sorted(rows) == list(range(len(options)))
    assert np.array_equal(options.user[rows], user)
    assert np.array_equal(options.model[rows], slot % 6)
    assert np.array_equal(options.place[rows], slot // 6 % 2)
    assert np.array_equal(options.server[rows], slots.servers[user, slot // 12])


def test_servers_are_ranked_by_what_the_user_hears() -> None:
    instance = do.generate_instance(20, 4, 1, do.GeneratorSettings(reach=3))
    slots = slots_of(do.build_options(instance))
    gains = np.take_along_axis(instance.users.channel_gain, slots.servers, axis=1)
    assert gains.shape == (20, 3)
    assert (np.diff(gains, axis=1) < 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_decisions_are_worth_what_the_plan_saves(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = random_options(9, 1 + seed % 3, seed)
    episode, choice = Episode(options, rng.permutation(9)), random_choice(options, rng)
    assert episode.reference_s == pytest.approx(
        mean_objective(options, equal_share_choice(options))
    )
    saved = [episode.step(choice[episode.user]) for _ in range(9)]
    assert episode.terminated
    assert np.array_equal(episode.choice, choice)
    worth = 9 * (episode.reference_s - mean_objective(options, choice))
    assert sum(saved) == pytest.approx(worth, rel=1e-9)
    assert min(saved) < 0


def test_with_limits_the_finished_plan_keeps_them_or_a_user_finds_out() -> None:
    ends = {"plan": 0, "conflict": 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        options = constrained_options(seed, 6, 2, 0.9, 1.3)
        if (np.diff(options.start) == 0).any():
            continue
        episode, choice = Episode(options, rng.permutation(6)), random_choice(options, rng)
        try:
            saved = [episode.step(choice[episode.user]) for _ in range(6)]
        except do.ChoiceInfeasible:
            assert mean_objective(options, choice) == np.inf
            ends["conflict"] += 1
            continue
        worth = 6 * (episode.reference_s - mean_objective(options, choice))
        assert sum(saved) == pytest.approx(worth, rel=1e-9, abs=1e-9)
        ends["plan"] += 1
    assert min(ends.values()) >= 5


@pytest.mark.parametrize("seed", SEEDS)
def test_costs_of_options_are_minimal_over_all_shares(seed: int) -> None:
    """Against a fine grid of shares, also where everybody is on the device and pools are unused."""
    options = random_options(5, 2, seed)
    episode = Episode(options, np.arange(5))
    if seed % 2:
        for n in range(4):
            episode.step(int(options.start[n]))  # on the device
    user, prices = episode.user, episode.allocation.prices
    rows = slice(int(options.start[user]), int(options.start[user + 1]))
    found, server = episode.option_costs(), options.server[rows]
    grid = np.geomspace(1e-7, 1.0, 20_001)
    delays = [
        pool_delays(options, options.capacity[:, server] * part, rows)
        + (prices * options.capacity)[:, server] * part
        for part in grid
    ]
    needed = options.needs[:, rows] > 0
    minimum = np.where(needed, np.min(delays, axis=0), 0.0)
    assert found[1:4] == pytest.approx(minimum, rel=1e-5, abs=1e-12)
    assert (found[1:4] <= minimum * (1 + 1e-9) + 1e-12).all()
    assert np.array_equal(found[0], options.device_delay_s[rows])
    assert found[4].min() == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_users_see_has_no_unit_and_is_within_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = random_options(7, 1 + seed % 3, seed)
    slots, order = slots_of(options), rng.permutation(7)
    seconds, minutes = Episode(options, order), Episode(options.in_time_unit(60.0), order)
    for row in random_choice(options, rng)[order]:
        seen = seconds.observe(slots)
        assert len(seen) == observation_size(slots.rows.shape[1], slots.servers.shape[1])
        assert (seen >= 0).all()
        assert (seen <= 1).all()
        assert seen == pytest.approx(minutes.observe(slots), rel=1e-9, abs=1e-12)
        seconds.step(int(row))
        minutes.step(int(row))
    assert seconds.observe(slots)[-1] == 1
