"""Networks take images of any shape; a seed fixes their weights."""

from __future__ import annotations

import pytest
import torch

import dtkd_opt as do
from dtkd_opt.distill.networks import STUDENTS, TEACHER, build_network
from dtkd_opt.distill.training import predict


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 17), (3, 32, 32)])
@pytest.mark.parametrize("name", [*STUDENTS, TEACHER])
def test_networks_take_images_of_any_shape(name: str, shape: tuple[int, int, int]) -> None:
    network = build_network(name, shape, 5, seed=0)
    assert predict(network, torch.zeros(3, *shape)).shape == (3, 5)


def test_a_seed_fixes_the_weights_and_nothing_else() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (build_network("cnn_m", (1, 8, 8), 10, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    with pytest.raises(do.UsageError, match="no student is named 'vgg'; there are logreg"):
        build_network("vgg", (1, 8, 8), 10, 0)
