"""The instances that `dqn` is trained with."""

from __future__ import annotations

from dtkd_opt.methods.dqn.instance_sampler import sample_options


def test_samples_have_all_kinds_of_instances() -> None:
    samples = [sample_options(seed, 30) for seed in range(60)]
    assert {options.n_servers for options in samples} == {1, 2, 3}
    assert {options.constrained for options in samples} == {True, False}
    assert min(options.n_users for options in samples) >= 10
    assert max(options.n_users for options in samples) <= 30
