"""The timeline: stages add up to the plan's delays; planned bits."""

from __future__ import annotations

import pytest

import dtkd_opt as do
from dtkd_opt.federation.timeline import build_timeline
from dtkd_opt.problem.demands import Demands
from tests.support.federating import SHARES, instance
from tests.support.paths import INSTANCES


@pytest.mark.parametrize("name", ["n10", "n10-s3", "n20-energy"])
def test_the_timeline_adds_up_to_the_plans_delays(name: str) -> None:
    problem = do.read_instance(INSTANCES / f"{name}.json")
    for seed in range(3):
        solution = do.solve(problem, "random", seed=seed).solution
        found = build_timeline(problem, solution.users.to_plan(problem))
        assert found.delay_s == pytest.approx(solution.users.delay_s, rel=1e-12)
        for n, user in enumerate(solution.users):
            stages = list(found.user_stages(n))
            names = [stage for stage, *_ in stages]
            if user.place == "device":
                assert names == ["download", "train"]
            else:
                assert names == ["upload", "label", "train", "download"]
            ends = [start + seconds for _, start, seconds in stages]
            assert [start for _, start, _ in stages] == pytest.approx([0, *ends[:-1]])
            assert ends[-1] == pytest.approx(user.delay_s, rel=1e-12)
            assert min(seconds for *_, seconds in stages) >= 0


def test_planned_bits_are_the_formulas() -> None:
    problem = instance()
    solution = do.solve(problem, "random", seed=1).solution
    chosen = Demands.of_plan(problem, solution.users.to_plan(problem))
    bits = {model.name: model.bits for model in problem.models}
    for n, (user, (samples, fresh, _)) in enumerate(zip(solution.users, SHARES, strict=True)):
        server = user.place == "server"
        up = fresh * samples * 512 if server else 0
        down = bits[user.model] if server else (1 - fresh) * samples * 320
        assert (chosen.upload_bits()[n], chosen.download_bits()[n]) == pytest.approx((up, down))
