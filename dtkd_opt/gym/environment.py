"""The environment `dtkd_opt/Offloading-v0`: users decide one after the other."""

from __future__ import annotations

from typing import Any, Literal, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.gym.episode import Episode, count_ranks, make_slots, observation_size
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.search import Search, make_plan
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import relative_gap
from dtkd_opt.pricing.allocation import ChoiceInfeasible
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.problem.generate import GeneratorSettings, generate_instance
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.records.arguments import as_flag, as_number, as_record, as_whole, shown
from dtkd_opt.records.arrays import Index, Mask
from dtkd_opt.records.calibration import shipped_calibration
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.plan import Plan
from dtkd_opt.records.solution import Termination

try:
    import gymnasium
    from gymnasium.spaces import Box, Discrete
except ImportError:
    fault = 'needs gymnasium: pip install "dtkd-opt[gym]"'
    raise InputError("dtkd_opt.gym", [fault]) from None

ID = "dtkd_opt/Offloading-v0"
Order = Literal["random", "instance"]
Observation = NDArray[np.float32]
Info = dict[str, Any]
Step = tuple[Observation, SupportsFloat, bool, bool, Info]


class OffloadingEnv(gymnasium.Env[Observation, np.int64]):
    """Users pick student, place and server one after the other; shares are always optimal.

    **Episode.** Each of the N users acts once, in an order drawn anew each time. Then the plan is
    complete: :meth:`plan`, :meth:`result`.

    **Action.** The number of a slot: (r · 2 + place) · M + m is student m on the device (place 0)
    or at the server (1) that has the user's r-th best channel. ``info["action_mask"]`` (int8, as
    ``action_space.sample`` takes it) and :meth:`action_masks` (bool, as sb3-contrib does) mark the
    slots that the user has.

    **Observation.** Numbers in [0, 1] of the user's options and its servers' pools at current
    prices; see :meth:`dtkd_opt.gym.episode.Episode.observe`.

    **Reward.** What the action saves of the total cost, if those who have not acted take their
    best option at equal shares (:mod:`dtkd_opt.gym.episode`):

        r_i = (C(x_{i-1}) - C(x_i)) / u,    Σ r_i = N · (J(x_0) - J) / u

    with J of the plan, J(x_0) of everybody's best option at equal shares (``info["reference_s"]``)
    and u the mean delay of that choice (``info["unit_s"]``), each with its best allocation.

    **Info.** Beside the mask the current ``user`` and the units; at the end ``objective_s``, J of
    the plan, and ``choice``, each user's row of `options` (-1 beyond the last user, so that all
    episodes' have one shape), with `certify` also ``bound_s`` and ``gap``.

    **Failure.** A slot that the user does not have (``info["inadmissible"]``), or an option with
    which those who have acted cannot keep their limits (``info["infeasible"]``), ends the episode
    without a plan; the reward is -`penalty` for this user and each that has not acted.

    Parameters
    ----------
    instance
        Of every episode; None draws a new one at each reset, from the seed of `reset`.
    users, servers, settings
        Of the instances drawn, as in :func:`generate_instance`; `users` may be a range (min, max).
    order
        Of the users: "random", or "instance", as they stand there.
    certify
        Whether the last `info` holds the prices' bound and the plan's proven gap, which takes
        milliseconds.
    penalty
        In units of u, as the reward.

    Raises
    ------
    UsageError
        When a setting is out of range; of the instances drawn, at the first reset.
    InfeasibleError
        When a user of the instance (of one that is drawn: at its reset) has no option.
    """

    metadata = {"render_modes": []}  # noqa: RUF012, as in gymnasium.Env

    def __init__(
        self,
        instance: Instance | None = None,
        *,
        users: int | tuple[int, int] = 10,
        servers: int = 1,
        settings: GeneratorSettings | None = None,
        order: Order = "random",
        certify: bool = False,
        penalty: float = 10.0,
    ):
        self._settings = as_record(GeneratorSettings, settings, "settings")
        self._min_users, self._max_users = _checked_users(users, order, penalty)
        self._servers = as_whole(
            servers, "servers must be a whole number of at least 1", lambda n: n >= 1
        )
        self._certify = as_flag(certify, "certify")
        self._order, self._penalty = order, float(penalty)
        self._fixed = None if instance is None else (instance, build_options(instance))
        self._n_models = len((instance or shipped_calibration()).models)
        self._n_ranks = min(self._settings.reach, self._servers)
        if self._fixed is not None:
            self._n_ranks = count_ranks(self._fixed[1])
            self._max_users = self._fixed[1].n_users
        n_slots = 2 * self._n_models * self._n_ranks
        self.action_space = Discrete(n_slots)
        size = observation_size(n_slots, self._n_ranks)
        self.observation_space = Box(0.0, 1.0, (size,), np.float32)
        self._failed = True  # no episode that can go on or give a plan

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Start an episode; a seed determines it and all that follow. `options` are ignored."""
        super().reset(seed=seed)
        self.instance, self.options = self._draw()
        self._slots = make_slots(self.options, self._n_models, self._n_ranks)
        order = np.arange(self.options.n_users)
        if self._order == "random":
            order = self.np_random.permutation(order)
        self._episode, self._failed = Episode(self.options, order), False
        return self._observe(), self._info()

    def step(self, action: np.int64) -> Step:
        """The current user takes the option of a slot; for failures see the class.

        UsageError where no episode is going on, or the action is not in the action space.
        """
        if self._failed or self._episode.terminated:
            raise UsageError("no episode is going on: call reset()")
        if not self.action_space.contains(action):
            last = self._slots.rows.shape[1] - 1
            raise UsageError(f"action must be from 0 to {last}, got {action!r}")
        row = int(self._slots.rows[self._episode.user, action])
        remaining = self.options.n_users - self._episode.steps
        if row < 0:
            return self._fail("inadmissible", remaining)
        try:
            saved_s = self._episode.step(row)
        except ChoiceInfeasible:
            return self._fail("infeasible", remaining)
        reward, terminated = saved_s / self._episode.unit_s, self._episode.terminated
        return self._observe(), reward, terminated, False, self._info()

    def action_masks(self) -> Mask:
        """(slots,) which of them the current user has, as sb3-contrib's MaskablePPO expects."""
        if not hasattr(self, "_episode"):
            raise UsageError("there is no current user before the first reset()")
        return np.asarray(self._slots.rows[self._episode.user] >= 0)

    def choice(self) -> Index:
        """(N,) rows of `options` that the users chose; UsageError before a plan is complete."""
        if self._failed or not self._episode.terminated:
            raise UsageError("there is a plan only after an episode in which all users decided")
        return self._episode.choice.copy()

    def plan(self) -> Plan:
        """The finished episode as a plan: what every user does, with optimal shares."""
        choice = self.choice()
        return make_plan(self.options, choice, self._episode.allocation.shares)

    def result(self, gap: float = 1e-6) -> Result:
        """The finished episode as :func:`dtkd_opt.solve` returns it, with the prices' bound.

        Its `solution` can be written, checked and certified; it is "optimal" if the bound proves
        the `gap`.
        """
        choice = self.choice()

        def agent(search: Search, seed: int) -> Termination:
            search.try_incumbent(choice)
            return "heuristic_end"

        return solve(self.instance, agent, gap=gap)

    def _draw(self) -> tuple[Instance, Options]:
        if self._fixed is not None:
            return self._fixed
        users = int(self.np_random.integers(self._min_users, self._max_users + 1))
        seed = int(self.np_random.integers(2**31))
        instance = generate_instance(users, self._servers, seed, self._settings)
        return instance, build_options(instance)

    def _fail(self, reason: str, remaining: int) -> Step:
        self._failed = True
        info = {"action_mask": self.action_masks().astype(np.int8), reason: True}
        return self._observe(), -self._penalty * remaining, True, False, info

    def _observe(self) -> Observation:
        return self._episode.observe(self._slots).astype(np.float32)

    def _info(self) -> Info:
        """The mask, the current user and the units; at the end the choice and its objective."""
        episode = self._episode
        info: Info = {
            "action_mask": self.action_masks().astype(np.int8),
            "user": episode.user,
            "reference_s": episode.reference_s,
            "unit_s": episode.unit_s,
        }
        if episode.terminated:
            info["choice"] = np.full(self._max_users, -1)  # of one shape, as vectors stack it
            info["choice"][: self.options.n_users] = episode.choice
            info["objective_s"] = episode.cost_s / self.options.n_users
            if self._certify:
                info["bound_s"] = maximise_bound(self.options).value / self.options.n_users
                info["gap"] = relative_gap(info["objective_s"], info["bound_s"])
        return info


def _checked_users(users: Any, order: Any, penalty: Any) -> tuple[int, int]:
    """The smallest and largest number of users; UsageError where a setting is out of range."""
    if not isinstance(order, str) or order not in ("random", "instance"):
        raise UsageError(f'order must be "random" or "instance", got {shown(order)}')
    as_number(penalty, "penalty must be a number of at least 0", lambda x: 0 <= x < float("inf"))
    given = users if isinstance(users, tuple | list) else (users, users)
    if len(given) != 2:
        raise UsageError(f"users must be a number or a range (min, max), got {users!r}")
    words = "users must be a whole number of at least 1"
    low, high = (as_whole(number, words, lambda n: n >= 1) for number in given)
    if low > high:
        raise UsageError(f"users must be a range (min, max) with min <= max, got {users!r}")
    return low, high


if ID not in gymnasium.registry:
    gymnasium.register(ID, entry_point=f"{__name__}:OffloadingEnv")
