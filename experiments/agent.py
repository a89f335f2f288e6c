r"""An agent of Stable-Baselines3 learns to offload on drawn instances: agent.csv.

    python experiments/agent.py                              # three seeds
    python experiments/agent.py --seeds 1 --steps 20000 --folder /tmp

MaskablePPO plays `dtkd_opt/Offloading-v0` with new instances of 10 to 20 users and one server in
every episode. The trained agent then plans instances that it has never seen, some of them
larger, and is compared with baselines and the bound that `price` proves. Bring your own agent:
replace `train` and `rollout`.

| column of agent.csv | meaning |
|---|---|
| method | `agent`: masked PPO; `equal shares`: x_0 of the environment, the best allocation of \
everybody's best option at equal shares; others as in the README |
| seed | of the agent's training, and of `random` |
| users, instances | users of each unseen instance, and number of instances |
| median_gap, worst_gap | (J - bound) / J, the bound by `price` to 1e-6 |
| train_s | wall time of the training |
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import provenance, write_csv

import dtkd_opt as do
from dtkd_opt.gym import OffloadingEnv
from dtkd_opt.methods.stop import relative_gap

try:
    import torch
    from sb3_contrib import MaskablePPO
    from stable_baselines3.common.env_util import make_vec_env
except ImportError:
    sys.exit('needs Stable-Baselines3: pip install -c constraints.txt -e ".[agents]"')

TRAIN_USERS, TEST_USERS = (10, 20), (15, 50)
INSTANCES, FIRST_SEED = 20, 10**6  # of the unseen; training draws its seeds below 2^31
BASELINES = ("equal shares", "greedy", "random")
COLUMNS = ("method", "seed", "users", "instances", "median_gap", "worst_gap", "train_s")
PACKAGES = ("dtkd-opt", "gymnasium", "stable-baselines3", "sb3-contrib", "torch", "numpy")
Row = dict[str, Any]


def train(seed: int, steps: int) -> MaskablePPO:
    """At given prices actions hardly depend on each other: most credit is for the next reward."""
    envs = make_vec_env(OffloadingEnv, 4, seed=seed, env_kwargs={"users": TRAIN_USERS})
    agent = MaskablePPO(
        "MlpPolicy", envs, learning_rate=lambda left: 1e-3 * left, gamma=1.0, gae_lambda=0.5,
        n_steps=256, batch_size=256, ent_coef=0.003, seed=seed, device="cpu",
        policy_kwargs={"net_arch": [128, 128]},
    )  # fmt: skip
    return agent.learn(steps, progress_bar=False)


def rollout(agent: MaskablePPO, instance: do.Instance) -> do.Result:
    """The agent's plan for an instance."""
    env = OffloadingEnv(instance, order="instance")
    observation, _ = env.reset()
    terminated = False
    while not terminated:
        action, _ = agent.predict(observation, action_masks=env.action_masks(), deterministic=True)
        observation, _, terminated, _, _ = env.step(action)
    return env.result()


def objective(method: str, seed: int, instance: do.Instance) -> float:
    """J of a baseline's plan [s]."""
    if method == "equal shares":
        return float(OffloadingEnv(instance).reset()[1]["reference_s"])
    return do.solve(instance, method, seed=seed).objective


def gap_row(method: str, seed: int, values: list[float], bounds: list[float]) -> Row:
    """A line of agent.csv without its users: gaps between objectives and bounds."""
    gaps = [relative_gap(value, bound) for value, bound in zip(values, bounds, strict=True)]
    return {
        "method": method,
        "seed": seed,
        "instances": len(gaps),
        "median_gap": f"{np.median(gaps):.2e}",
        "worst_gap": f"{max(gaps):.2e}",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many agents are trained")
    parser.add_argument(
        "--steps", type=int, default=40_000, help="environment steps of each training"
    )
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    header = provenance(PACKAGES, f"torch on one thread; {options.steps} steps an agent")
    unseen = {
        users: [do.generate_instance(users, seed=FIRST_SEED + k) for k in range(INSTANCES)]
        for users in TEST_USERS
    }
    bounds = {users: [do.solve(i, "price").bound for i in tests] for users, tests in unseen.items()}
    rows: list[Row] = []

    def add_row(row: Row) -> None:
        rows.append(row)
        print("  ".join(f"{key} {text}" for key, text in row.items()), flush=True)
        write_csv(options.folder / "agent.csv", COLUMNS, rows, header)

    for method in BASELINES:
        for users, tests in unseen.items():
            values = [objective(method, 0, instance) for instance in tests]
            add_row(gap_row(method, 0, values, bounds[users]) | {"users": users})
    for seed in range(options.seeds):
        started = time.monotonic()
        agent = train(seed, options.steps)
        train_s = f"{time.monotonic() - started:.0f}"
        for users, tests in unseen.items():
            values = [rollout(agent, instance).objective for instance in tests]
            add_row(
                gap_row("agent", seed, values, bounds[users]) | {"users": users, "train_s": train_s}
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
