"""The Q-network of `dqn` and its files: weights in safetensors, what they mean in JSON beside it.

Q(features of an option) estimates the user's reward of this round and, discounted, of later ones
when it takes that option (Mnih et al., "Human-level control through deep reinforcement learning",
Nature 2015). All users share its weights (Gupta, Egorov, Kochenderfer, "Cooperative multi-agent
control using deep reinforcement learning", 2017), so that a network trained on small instances
plays any: it is evaluated one option at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from dtkd_opt.errors import InputError
from dtkd_opt.methods.dqn.game import FEATURES, FEATURES_VERSION, Features
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.fields import Name, Record, Text
from dtkd_opt.records.files import read_bytes, read_json, write_files
from dtkd_opt.records.validation import validate

try:
    import safetensors as safetensors
    import safetensors.torch
    import torch as torch
    from torch import Tensor, nn
except ImportError as error:
    fault = f'needs {error.name}: pip install "dtkd-opt[dqn]"'
    raise InputError("dqn", [fault]) from None

# with features within ±1 and at most 4096 hidden units no Q is beyond 2e26, and all are numbers
MAX_WEIGHT = 1e6
_REDUCED_COST = FEATURES.index("reduced_cost")


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
    """Q of options (…, F), in the users' scales: minus the reduced cost, and what is learned.

    At given prices an option gains less by its reduced cost. An untrained network adds
    nothing, so that it plays the best response to prices; training adds a residual (as in Silver
    et al., "Residual policy learning", 2018) for what the others will do and for the change that
    the user's own load makes.
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

    def forward(self, features: Tensor) -> Tensor:
        """(…, F) features → (…,) values."""
        residual: Tensor = self.linear(features) + self.layers(features)  # (…, 1)
        return residual.squeeze(-1) - features[..., _REDUCED_COST]

    @torch.inference_mode()
    def q_values(self, features: Features) -> Array:
        """(K, F) features → (K,) values, as arrays."""
        device = self.linear.weight.device
        values: Array = self(torch.from_numpy(features).to(device)).cpu().numpy()
        return values


def read_network(path: Path) -> QNetwork:
    """A trained network from its JSON file and the safetensors file beside it.

    InputError where one is missing or damaged, or made for other features than this version has.
    """
    card = validate(NetworkCard, read_json(path), str(path))
    if card.features != FEATURES_VERSION:
        fault = f"must be {FEATURES_VERSION}, got {card.features}; train it anew"
        raise InputError(str(path), [f"features: {fault}: dtkd-opt train-dqn"])
    weights = path.with_suffix(".safetensors")
    tensors = read_tensors(weights)
    with torch.device("meta"):  # without drawing weights to throw away
        network = QNetwork(card.hidden)
    check_tensors(tensors, network.state_dict(), weights, MAX_WEIGHT)
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
    given: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path, max_value: float
) -> None:
    """InputError unless given tensors have the names, shapes and types of the expected ones.

    Their numbers must lie within ± `max_value`, so that none is NaN.
    """
    kinds = [
        {name: (value.dtype, value.shape) for name, value in tensors.items()}
        for tensors in (given, expected)
    ]
    if kinds[0] != kinds[1]:
        raise InputError(str(path), ["must hold the tensors that its settings describe"])
    if not all(bool((value.abs() <= max_value).all()) for value in given.values()):
        raise InputError(str(path), [f"must hold finite numbers of at most {max_value:g}"])


def write_network(network: QNetwork, card: NetworkCard, path: Path) -> None:
    """Write a network's weights, and then its JSON file, atomically."""
    weights = safetensors.torch.save(network.state_dict())
    text = (card.model_dump_json(indent=1) + "\n").encode()
    write_files({path.with_suffix(".safetensors"): weights, path: text})
