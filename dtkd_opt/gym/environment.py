"""The sequential decision as a Gymnasium environment, for agents of any library.

    import gymnasium
    env = gymnasium.make("dtkd_opt.gym.environment:dtkd_opt/Offloading-v0", users=20)

(The words before the colon import this module, which registers the environment.)
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.gym.episode import Episode, count_ranks, find_slots, observation_size
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.search import Search, make_plan
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import relative_gap
from dtkd_opt.pricing.allocation import ChoiceInfeasible
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.problem.generate import GeneratorSettings, generate_instance
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.records.calibration import shipped_calibration
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.plan import Plan
from dtkd_opt.records.solution import Termination

try:
    import gymnasium
    from gymnasium.spaces import Box, Discrete
except ImportError:
    fault = 'needs gymnasium; run pip install "dtkd-opt[gym]"'
    raise InputError("dtkd_opt.gym.environment", [fault]) from None

ID = "dtkd_opt/Offloading-v0"
Order = Literal["random", "instance"]
Observation = NDArray[np.float32]


class OffloadingEnv(gymnasium.Env[Observation, np.int64]):
    """Users pick student, place and server one after the other; shares are always optimal.

    **Episode.** Each of the N users decides once, in an order drawn anew each time. Then the plan
    is complete: :meth:`plan`, :meth:`result`.

    **Action.** The number of a slot: (r · 2 + place) · M + m is student m on the device (place 0)
    or at the server (1) that the user hears r-th best. ``info["action_mask"]`` (int8, as
    ``action_space.sample`` takes it) and :meth:`action_masks` (bool, as sb3-contrib does) tell
    which slots the user has.

    **Observation.** Numbers in [0, 1] of the user's options and its servers' pools at current
    prices; see :meth:`dtkd_opt.gym.episode.Episode.observe`.

    **Reward.** What the decision saves of the total cost, while those who have not decided are
    supposed to take their best option at equal shares (:mod:`dtkd_opt.gym.episode`):

        r_i = (C(x_{i-1}) - C(x_i)) / u,    Σ r_i = N · (J(x_0) - J) / u

    with J of the plan, J(x_0) of everybody's best option at equal shares (``info["reference_s"]``)
    and u the mean delay of that choice (``info["unit_s"]``), each with its best allocation.

    **Failure.** A slot that the user does not have (``info["inadmissible"]``), or an option with
    which those who have decided cannot keep their limits (``info["infeasible"]``), ends the
    episode; the reward is -`penalty` for this user and each that has not decided. No plan then.

    Parameters
    ----------
    instance
        To be played every time; None draws a new one at each reset, from the seed of `reset`.
    users, servers, params
        What is drawn, as of :func:`generate_instance`; `users` may be a range (fewest, most).
    order
        "random", or "instance": as they stand there.
    certify
        Whether the last `info` tells the prices' bound and the plan's proven gap (milliseconds).
    penalty
        In units of u, as the reward.

    Raises
    ------
    UsageError
        When a setting is out of range; of what is drawn, at the first reset.
    InfeasibleError
        When a user of the instance (or of one that is drawn, at its reset) has no option.
    """

    metadata = {"render_modes": []}  # noqa: RUF012, as in gymnasium.Env

    def __init__(
        self,
        instance: Instance | None = None,
        *,
        users: int | tuple[int, int] = 10,
        servers: int = 1,
        params: GeneratorSettings | None = None,
        order: Order = "random",
        certify: bool = False,
        penalty: float = 10.0,
    ):
        self._params = params or GeneratorSettings()
        self._fewest, self._most = _checked(users, order, penalty)
        self._servers = _whole(servers, "servers")
        reach = _whole(self._params.reach, "reach")
        self._fixed, self._order, self._certify = instance, order, certify
        self._penalty = float(penalty)
        self._table = None if instance is None else build_options(instance)
        self._n_models = len((instance or shipped_calibration()).models)
        self._n_ranks = min(reach, self._servers)
        if self._table is not None:
            self._n_ranks = count_ranks(self._table)
        n_slots = 2 * self._n_models * self._n_ranks
        self.action_space = Discrete(n_slots)
        size = observation_size(n_slots, self._n_ranks)
        self.observation_space = Box(0.0, 1.0, (size,), np.float32)
        self._over = True  # no episode that could go on, or give a plan

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; a seed decides it and all that follow. `options` are not used."""
        super().reset(seed=seed)
        self.instance, self.options = self._draw()
        self._slots = find_slots(self.options, self._n_models, self._n_ranks)
        order = np.arange(self.options.n_users)
        if self._order == "random":
            order = self.np_random.permutation(order)
        self._episode, self._over = Episode(self.options, order), False
        return self._observe(), self._info()

    def step(
        self, action: np.int64
    ) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """The user at hand takes the option of a slot; failures are no errors, see the class.

        Raises
        ------
        UsageError
            When no episode is going on, or the action is not in the action space.
        """
        if self._over or self._episode.finished:
            raise UsageError("no episode is going on: call reset()")
        if not self.action_space.contains(action):
            last = self._slots.rows.shape[1] - 1
            raise UsageError(f"action must be from 0 to {last}, got {action!r}")
        row = int(self._slots.rows[self._episode.user, action])
        left = self.options.n_users - self._episode.decided
        if row < 0:
            return self._fail("inadmissible", left)
        try:
            saved = self._episode.decide(row)
        except ChoiceInfeasible:
            return self._fail("infeasible", left)
        reward, finished = saved / self._episode.unit_s, self._episode.finished
        return self._observe(), reward, finished, False, self._info()

    def action_masks(self) -> NDArray[np.bool_]:
        """(slots,) which of them the user at hand has: what sb3-contrib's MaskablePPO asks for.

        Raises
        ------
        UsageError
            Before the first reset.
        """
        if not hasattr(self, "_episode"):
            raise UsageError("there is no user at hand before the first reset()")
        mask: NDArray[np.bool_] = self._slots.rows[self._episode.user] >= 0
        return mask

    def choice(self) -> NDArray[np.int64]:
        """(N,) rows of `options` that the users of the finished episode took.

        Raises
        ------
        UsageError
            When the episode has not come to a plan.
        """
        if self._over or not self._episode.finished:
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
        if self._fixed is not None and self._table is not None:
            return self._fixed, self._table
        users = int(self.np_random.integers(self._fewest, self._most + 1))
        seed = int(self.np_random.integers(2**31))
        instance = generate_instance(users, self._servers, seed, self._params)
        return instance, build_options(instance)

    def _fail(
        self, why: str, left: int
    ) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        self._over = True
        info = {"action_mask": self.action_masks().astype(np.int8), why: True}
        return self._observe(), -self._penalty * left, True, False, info

    def _observe(self) -> Observation:
        return self._episode.observe(self._slots).astype(np.float32)

    def _info(self) -> dict[str, Any]:
        """The mask, whose turn it is and the units; at the end the choice and its figures."""
        episode = self._episode
        info: dict[str, Any] = {
            "action_mask": self.action_masks().astype(np.int8),
            "user": episode.user,
            "reference_s": episode.reference_s,
            "unit_s": episode.unit_s,
        }
        if episode.finished:
            info["choice"] = self.choice()
            info["objective_s"] = episode.cost_s / self.options.n_users
            if self._certify:
                info["bound_s"] = maximise_bound(self.options).value / self.options.n_users
                info["gap"] = relative_gap(info["objective_s"], info["bound_s"])
        return info


def _checked(users: Any, order: Any, penalty: Any) -> tuple[int, int]:
    """The fewest and the most users, once the settings are found to be in range."""
    if order not in ("random", "instance"):
        raise UsageError(f'order must be "random" or "instance", got {order!r}')
    if not (isinstance(penalty, Real) and 0 <= float(penalty) < float("inf")):
        raise UsageError(f"penalty must be a number of at least 0, got {penalty!r}")
    given = users if isinstance(users, tuple | list) else (users, users)
    if len(given) != 2:
        raise UsageError(f"users must be a number or two, the fewest and the most, got {users!r}")
    fewest, most = (_whole(number, "users") for number in given)
    if fewest > most:
        raise UsageError(f"users must be the fewest before the most, got {users!r}")
    return fewest, most


def _whole(value: Any, name: str) -> int:
    if not (isinstance(value, Integral) and int(value) >= 1):
        raise UsageError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


if ID not in gymnasium.registry:
    gymnasium.register(ID, entry_point=f"{__name__}:OffloadingEnv")
