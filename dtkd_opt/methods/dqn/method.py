"""`dqn`: one small Q-network, shared by all users, plays the game of `game.py`.

Q(features of an option) estimates the user's reward of this round and, discounted, of later ones
when it takes that option (Mnih et al., "Human-level control through deep reinforcement learning",
Nature 2015). All users share its weights (Gupta, Egorov, Kochenderfer, "Cooperative multi-agent
control using deep reinforcement learning", 2017), so that a network trained on small instances
plays any: it is asked for one option at a time. :mod:`dtkd_opt.methods.dqn.train` trains it.

In round r of R each user moves with probability

    share(r) = first (last / first)^(r / (R - 1))

to its option of greatest Q. If all moved at once, the herd would run from pool to pool. The best
choice of all rounds is the answer. The bound is the prices' and the network never sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, Strict

from dtkd_opt.errors import InputError
from dtkd_opt.methods.bounding import price_bound
from dtkd_opt.methods.dqn.game import (
    FEATURES,
    VERSION,
    Allocate,
    State,
    begin,
    begin_with,
    first_choices,
    move,
    wishes,
)
from dtkd_opt.methods.infeasible import find_plan
from dtkd_opt.methods.search import Search
from dtkd_opt.pricing.allocation import ChoiceInfeasible, allocate
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import Array
from dtkd_opt.records.fields import Count, Name, Record, Text
from dtkd_opt.records.files import parse_json, read_bytes, sha256, validate, write_atomic
from dtkd_opt.records.solution import Termination
from dtkd_opt.runtime.threads import one_thread

try:
    import safetensors as safetensors
    import safetensors.torch
    import torch as torch
    from torch import Tensor, nn
except ImportError as error:
    fault = f'needs {error.name}: pip install "dtkd-opt[dqn]"'
    raise InputError("dqn", [fault]) from None

SHIPPED = Path(__file__).parent / "data" / "dqn.json"

# of a weight: with features within ±1 and at most 4096 hidden units no value is beyond 2e26, and
# all are numbers
LARGEST = 1e6
_REDUCED = FEATURES.index("reduced")
_LOOSE = 1e-7  # of the bound, relative: plans are mostly a hundred times farther from it
_Part = Annotated[float, Strict(), Field(gt=0, le=1)]


class DQN(Record):
    """Settings of `dqn`.

    `network` is the JSON file of a trained network (its weights lie beside it), None for the one
    that comes with the package. `first_share` and `last_share` are the parts of the users that may
    move in the first and in the last of the `rounds`. Where there are more than twice `sample`
    users, about that many play for all until the last rounds.
    """

    network: Path | None = None
    rounds: Count = 40
    first_share: _Part = 0.4
    last_share: _Part = 0.05
    sample: Count = 5000

    def share(self, number: int, rounds: int) -> float:
        """The part of the users that may move in round `number` of `rounds`, from 0."""
        done = number / (rounds - 1) if rounds > 1 else 0.0
        share: float = self.first_share * (self.last_share / self.first_share) ** done
        return share

    def hash_files(self) -> Mapping[str, str]:
        """Of the network's two files, once they are found to be sound."""
        card = self.network or SHIPPED
        read_network(card)
        files = (card, card.with_suffix(".safetensors"))
        return {file.name: sha256(read_bytes(file)) for file in files}

    def __call__(self, search: Search, seed: int) -> Termination:
        """Let the network choose for `rounds` rounds, and keep the best choice met.

        Raises
        ------
        InputError
            When the network's file cannot be used.
        InfeasibleError
            When prices prove that no choice keeps the limits.
        NoPlanError
            When no plan to begin with was found, nor such a proof.
        """
        network = read_network(self.network or SHIPPED)
        _offer_first(search)
        point = price_bound(search, float(np.clip(search.stop.gap / 10, 1e-9, _LOOSE)))
        if search.incumbent is None:  # of these prices the network sees no more than a first plan
            find_plan(search, point.prices)
        assert search.incumbent is not None
        search.begin_phase("rounds")
        rounds = min(search.stop.iterations or self.rounds, self.rounds)
        rng = np.random.default_rng(seed)
        with one_thread():
            for _ in _all_rounds(search, network, self, rounds, rng):
                if search.proven:
                    break
                search.keep_time()
        if search.proven:
            return "gap_reached"
        return "heuristic_end" if rounds == self.rounds else "iteration_limit"


class NetworkCard(Record):
    """The JSON file of a network: what its weights mean and how they were made."""

    format: Literal["dtkd-opt/dqn/1"]
    features: Annotated[int, Strict()]
    hidden: Annotated[int, Strict(), Field(ge=1, le=4096)]
    command: Text
    date: Text
    versions: dict[Name, Text]
    training: dict[Name, Any]


class QNetwork(nn.Module):
    """Q of options (…, F): what prices say at once, and what is learned beyond that.

    Prices say that an option gains as much less as its reduced cost. An untrained network says no
    more, so that it plays the best response to prices; training adds to it (as in Silver et al.,
    "Residual policy learning", 2018) what others will do and what the user's own load changes.
    """

    def __init__(self, hidden: int):
        super().__init__()
        self.linear = nn.Linear(len(FEATURES), 1)
        self.layers = nn.Sequential(
            nn.Linear(len(FEATURES), hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 1, bias=False),
        )
        for parameter in (*self.linear.parameters(), *self.layers[-1].parameters()):
            nn.init.zeros_(parameter)

    def forward(self, known: Tensor) -> Tensor:
        """(…, F) features → (…) values, in the users' scales."""
        learned: Tensor = self.linear(known) + self.layers(known)
        return learned.squeeze(-1) - known[..., _REDUCED]

    @torch.inference_mode()
    def values(self, known: NDArray[np.float32]) -> Array:
        """(K, F) features → (K,) values, as arrays."""
        device = self.linear.weight.device
        values: Array = self(torch.from_numpy(known).to(device)).cpu().numpy()
        return values


def _all_rounds(
    search: Search, network: QNetwork, params: DQN, rounds: int, rng: np.random.Generator
) -> Iterator[State]:
    """The rounds of all users; of very many, a sample plays first and finds the prices.

    These are near where all would bring them, so that all can follow the network at once and then
    need a fifth of the rounds to mend what the sample got wrong.
    """
    assert search.incumbent is not None
    options, choice, prices = search.options, search.incumbent.choice, search.incumbent.prices
    every = options.n_users // params.sample
    found = (
        _rehearse(search, options.subsample(every), network, params, rounds, rng)
        if every >= 2
        else None
    )
    if found is None:
        state = begin(options, choice, prices)
        yield from play(state, network, params, rounds, search.try_incumbent, rng)
        return
    state = begin(options, choice, found)
    wanted = wishes(state, np.arange(options.n_users), network.values)
    state = move(state, wanted, search.try_incumbent)
    yield state
    yield from play(state, network, params, -(-rounds // 5), search.try_incumbent, rng)


def _rehearse(
    search: Search,
    sample: Options,
    network: QNetwork,
    params: DQN,
    rounds: int,
    rng: np.random.Generator,
) -> Array | None:
    """(3, S) prices after the rounds of a sample; None where its first choices break limits."""
    state = begin_with(sample, first_choices(sample))
    if state is None:
        return None
    for following in play(state, network, params, rounds, partial(allocate, sample), rng):
        search.keep_time()
        state = following
    return state.prices


def play(
    state: State,
    network: QNetwork,
    params: DQN,
    rounds: int,
    allocate: Allocate,
    rng: np.random.Generator,
) -> Iterator[State]:
    """The states after each round in which movers drawn by `rng` follow the network."""
    for number in range(rounds):
        share = params.share(number, rounds)
        movers = np.flatnonzero(rng.random(state.options.n_users) < share)
        wanted = wishes(state, movers, network.values)
        state = move(state, wanted, allocate)
        yield state


def _offer_first(search: Search) -> None:
    """Offer the first choice to begin with that keeps its limits."""
    for choice in first_choices(search.options):
        with suppress(ChoiceInfeasible):
            search.try_incumbent(choice)
            return


def read_network(path: Path) -> QNetwork:
    """A trained network from its JSON file and the safetensors file beside it.

    Raises
    ------
    InputError
        When a file is missing or damaged, or the network knows other features than this version.
    """
    card = validate(NetworkCard, parse_json(read_bytes(path), str(path)), str(path))
    if card.features != VERSION:
        fault = f"must be {VERSION}, got {card.features}; train it anew: dtkd-opt train-dqn"
        raise InputError(str(path), [f"features: {fault}"])
    weights = path.with_suffix(".safetensors")
    tensors = read_tensors(weights)
    with torch.device("meta"):  # without drawing weights to throw away
        network = QNetwork(card.hidden)
    check_tensors(tensors, network.state_dict(), weights)
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; InputError where it is missing or damaged."""
    data = read_bytes(path)
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, LookupError, ValueError) as error:
        raise InputError(str(path), [f"is no safetensors file: {error}"]) from None


def check_tensors(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path, most: float = LARGEST
) -> None:
    """InputError unless given tensors have the names, shapes and types of others.

    Their numbers must lie within ± `most`, so that none is NaN.
    """

    def kinds(tensors: Mapping[str, Tensor]) -> dict[str, tuple[object, ...]]:
        return {name: (value.dtype, *value.shape) for name, value in tensors.items()}

    if kinds(given) != kinds(own):
        raise InputError(str(path), ["must hold the tensors that its settings describe"])
    if not all(bool((value.abs() <= most).all()) for value in given.values()):
        raise InputError(str(path), [f"must hold finite numbers of at most {most:g}"])


def write_network(network: QNetwork, card: NetworkCard, path: Path) -> None:
    """Write a network's weights, and then its JSON file, atomically."""
    write_atomic(path.with_suffix(".safetensors"), safetensors.torch.save(network.state_dict()))
    write_atomic(path, (card.model_dump_json(indent=1) + "\n").encode())
