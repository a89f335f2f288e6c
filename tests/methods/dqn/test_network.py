"""The files of `dqn`'s networks: what is refused, and that what is read gives numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.dqn.game import FEATURES
from dtkd_opt.methods.dqn.method import SHIPPED
from dtkd_opt.methods.dqn.network import MAX_WEIGHT, QNetwork, read_network, safetensors, torch
from tests.support.paths import INSTANCES


def network_files(folder: Path) -> Path:
    shutil.copy(SHIPPED, folder / "dqn.json")
    shutil.copy(SHIPPED.with_suffix(".safetensors"), folder / "dqn.safetensors")
    return folder / "dqn.json"


def _edited(key: str, value: object) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return edit


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_edited("features", 99), "features: must be"),
        (_edited("hidden", 7), "must hold the tensors that its settings describe"),
        (_edited("format", "dtkd-opt/instance/1"), "format: must be"),
        (lambda path: path.write_text("no network"), "line 1, column 1"),
        (lambda path: path.with_suffix(".safetensors").unlink(), "no such file"),
        (lambda path: path.with_suffix(".safetensors").write_bytes(b"x"), "no safetensors file"),
    ],
)
def test_a_bad_network_is_refused_in_one_line(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    path = network_files(tmp_path)
    read_network(path)
    damage(path)
    with pytest.raises(do.InputError, match=words) as error:
        do.solve(do.generate_instance(3), do.DQN(network=path))
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load(path.with_suffix(".safetensors").read_bytes())


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_weights_that_are_too_large_are_refused(tmp_path: Path, value: float) -> None:
    """1e30 is a number, but Q would not be one, and the best option of a user that of another."""
    path = network_files(tmp_path)
    tensors = _weights(path)
    tensors["linear.bias"][0] = value
    path.with_suffix(".safetensors").write_bytes(safetensors.torch.save(tensors))
    with pytest.raises(do.InputError, match="finite numbers of at most 1e"):
        read_network(path)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.int64])
def test_weights_of_another_type_are_refused(tmp_path: Path, kind: torch.dtype) -> None:
    path = network_files(tmp_path)
    tensors = {name: value.to(kind) for name, value in _weights(path).items()}
    path.with_suffix(".safetensors").write_bytes(safetensors.torch.save(tensors))
    with pytest.raises(do.InputError, match="must hold the tensors that its settings describe"):
        read_network(path)


def test_the_largest_weights_allowed_give_numbers() -> None:
    network = QNetwork(4096)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(MAX_WEIGHT)
    ones = np.ones((2, len(FEATURES)), np.float32)
    assert np.isfinite(network.q_values(ones)).all()


def test_solving_leaves_the_random_numbers_of_others_alone() -> None:
    before = torch.random.get_rng_state()
    read_network(SHIPPED)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("missing", ["torch", "safetensors"])
@pytest.mark.parametrize("words", ["solve n5.json --method dqn", "train-dqn --output runs"])
def test_without_its_extra_one_line_tells_what_to_install(missing: str, words: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['dtkd-opt', *{words.split()}]\n"
        "from dtkd_opt.commands.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=INSTANCES, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == f'dqn: needs {missing}: pip install "dtkd-opt[dqn]"\n'
