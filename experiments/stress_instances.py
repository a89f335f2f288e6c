"""Random instances for stress.py: amounts over many decades, limits placed around a plan."""

from __future__ import annotations

import numpy as np

import dtkd_opt as do
from dtkd_opt.methods.search import make_plan
from dtkd_opt.records.arrays import Index
from dtkd_opt.records.plan import Plan

SPREADS = (0.0, 1.0, 3.0, 6.0)  # decades to each side
NUDGES = (  # of limits, relative to what a plan needs
    0.0, 1e-15, -1e-15, 1e-12, -1e-12, 1e-10, 1e-9, -1e-9, 1e-8, 1e-6, -1e-6, 1e-3, -1e-3, 0.1,
    -0.1, 1.0, 1e3, 1e9, 1e20,
)  # fmt: skip


class Draw:
    """Random amounts around ordinary ones."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.spread = rng, float(rng.choice(SPREADS))
        self.at_ends = rng.random() < 0.1  # now and then an end of what a file may hold

    def amount(self, usual: float, largest: float = 1e30) -> float:
        if self.at_ends and self.rng.random() < 0.1:
            return float(min(self.rng.choice([1e-30, 1e-15, 1e15, 1e30]), largest))
        decades = self.rng.uniform(-self.spread, self.spread) if self.spread else 0.0
        return float(min(usual * 10 ** (decades + self.rng.uniform(-0.3, 0.3)), largest))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)


def draw_instance(rng: np.random.Generator, name: str) -> do.Instance:
    """A random instance; its limits are placed around a plan where that has one."""
    draw = Draw(rng)
    servers = [_server(draw, f"s{s}") for s in range(rng.integers(1, 5))]
    models = [_model(draw, f"m{m}") for m in range(rng.integers(1, 4))]
    if draw.chance(0.2):
        servers = [servers[0].replace(name=s.name) for s in servers]
    users = [_user(draw, f"u{n}", len(servers)) for n in range(rng.integers(1, 9))]
    if draw.chance(0.2):
        users = [users[0].replace(name=u.name) for u in users]
    instance = do.Instance(
        name=name,
        seconds_per_error=0.0 if draw.chance(0.1) else draw.amount(100.0),
        task=do.Task(
            epochs=int(rng.integers(1, 20)),
            bits_per_sample=draw.amount(6e3),
            bits_per_label=draw.amount(3e2),
            teacher_cycles_per_sample=0.0 if draw.chance(0.1) else draw.amount(1e6),
        ),
        servers=servers,
        models=models,
        users=users,
    )
    return _with_limits(draw, instance) if draw.chance(0.7) else instance


def _server(draw: Draw, name: str) -> do.Server:
    return do.Server(
        name=name,
        uplink_hz=draw.amount(1e6),
        downlink_hz=draw.amount(1e6),
        cpu_hz=draw.amount(1e10),
        tx_power_w=draw.amount(20.0),
        noise_w_per_hz=draw.amount(4e-21),
    )


def _model(draw: Draw, name: str) -> do.Model:
    low, high = sorted(draw.rng.uniform(0.3, 0.99, 2).tolist())
    if draw.chance(0.1):  # next to one, where an error has few digits
        high = 1 - 10 ** draw.rng.uniform(-12, -3)
    accuracy = do.AccuracyTable(samples=(50, 3000), device=(low, high), server=(low, high))
    return do.Model(
        name=name, bits=draw.amount(1e6), cycles_per_sample=draw.amount(1e5), accuracy=accuracy
    )


def _user(draw: Draw, name: str, servers: int) -> do.User:
    gains = [None if draw.chance(0.2) else draw.amount(1e-11, 1.0) for _ in range(servers)]
    if not any(gains):
        gains[0] = draw.amount(1e-11, 1.0)
    fresh = float(draw.rng.choice([0.0, 1.0, 1e-12, draw.rng.uniform()]))
    return do.User(
        name,
        samples=int(draw.rng.integers(10, 5000)),
        fresh_fraction=fresh if draw.chance(0.3) else float(draw.rng.uniform()),
        cpu_hz=draw.amount(1e9),
        tx_power_w=draw.amount(0.1),
        kappa=0.0 if draw.chance(0.2) else draw.amount(1e-28),
        channel_gain=gains,
    )


def _with_limits(draw: Draw, instance: do.Instance) -> do.Instance:
    """Deadlines and budgets around those of a random choice's best plan."""
    options = do.build_options(instance)
    sizes = np.diff(options.start)
    choice = options.start[:-1] + draw.rng.integers(sizes)
    evaluation = do.evaluate(instance, _plan_of(options, choice))
    nudge = float(draw.rng.choice(NUDGES)) if draw.chance(0.5) else None
    users = []
    for n, user in enumerate(instance.users):
        at = {"deadline_s": evaluation.delay_s[n], "energy_j": evaluation.energy_j[n]}
        own = {}
        for key, value in at.items():
            if draw.chance(0.5) and np.isfinite(value):
                size = draw.rng.choice(NUDGES) if nudge is None else nudge
                own[key] = float(np.clip(value * (1 + size), 1e-30, 1e30))
        if draw.chance(0.2):
            own["min_accuracy"] = float(evaluation.accuracy[n])
        users.append(user.replace(**own))
    return instance.replace(users=users)


def _plan_of(options: do.Options, choice: Index) -> Plan:
    return make_plan(options, choice, do.allocate(options, choice).shares)
