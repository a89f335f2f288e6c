"""The only place that calls HiGHS: the prices' master LP and Pyomo's MILPs.

A MILP stays loaded while cuts are added to it. It runs in a worker thread, because Ctrl-C does not
stop a running HiGHS: the caller's thread waits, and stops HiGHS through its interrupt callback.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import highspy
import numpy as np
from pydantic import Field, Strict

from dtkd_opt.errors import UsageError
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.fields import NonNegative, Positive, Record, WithoutNull

INF = highspy.kHighsInf
_MAX_GROWTH = 100.0  # of a box, before the master's units follow it
_CALLBACKS = ("cbMipInterrupt", "cbSimplexInterrupt", "cbIpmInterrupt")


class HighsSettings(Record):
    """HiGHS's settings for the MILPs of the `exact` method."""

    threads: Annotated[int, Strict(), Field(ge=0, le=256)] = 0  # of HiGHS; 0: it chooses
    log_file: WithoutNull = ""  # where HiGHS writes its log; "": nowhere
    mip_rel_gap: NonNegative | None = None  # at which a solve stops; None: the method decides
    feasibility_tolerance: Annotated[Positive, Field(le=1e-3)] = 1e-9
    """Of HiGHS, for rows and whole numbers; at most 1e-3, so that whole numbers are."""
    options: dict[str, Any] = Field(default_factory=dict)  # more of HiGHS's own, by name


@dataclass(frozen=True)
class MilpOutcome:
    """Why one HiGHS run ended, and what it holds."""

    reason: Literal["optimal", "infeasible", "time_limit", "interrupted"]
    bound: float
    has_solution: bool


class _SilentHighs(highspy.Highs):
    """HiGHS without output from its first call on: it prints a banner as it enables callbacks."""

    def enableCallbacks(self) -> None:  # noqa: N802 - what highspy's `__init__` calls
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]


class MasterLP:
    """max θ subject to cuts θ ≤ value + gradient · (v - point) and a moving box on v.

    HiGHS gets v in units of the box and θ in units of their sum: prices of pools, and what they
    move, may be many decades apart, and boxes move over as many.
    """

    def __init__(self, size: int):
        self._size = size
        self._gradients: list[Array] = []
        self._levels: list[float] = []
        self._units: Array = np.zeros(size)  # of v and, for θ, their sum; 0: nothing is loaded
        self._weights: Array = np.zeros(0)
        self._highs: Any = _SilentHighs()  # type: ignore[no-untyped-call]
        self._highs.setOptionValue("presolve", "off")
        self._highs.setOptionValue("threads", 1)
        for side in ("primal", "dual"):  # the predicted gain decides when to stop
            self._highs.setOptionValue(f"{side}_feasibility_tolerance", 1e-10)

    def add_cut(self, value: float, gradient: Array, point: Array) -> None:
        """One supporting plane of the concave function at `point`."""
        self._gradients.append(gradient)
        self._levels.append(float(value - gradient @ point))
        if self._units.any():
            self._add_rows(self._gradients[-1:], self._levels[-1:])

    def maximise(self, low: Array, high: Array) -> tuple[Array, float]:
        """Maximiser of the model in the box and its value there; ArithmeticError if HiGHS fails."""
        if (np.maximum(high, self._units) > _MAX_GROWTH * np.minimum(high, self._units)).any():
            self._load(high)
        index = np.arange(self._size, dtype=np.int32)
        self._highs.changeColsBounds(self._size, index, low / self._units, high / self._units)
        if self._run() != highspy.HighsModelStatus.kOptimal:  # lost its way from the last basis
            self._highs.clearSolver()
            self._run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise ArithmeticError(f"price master: {self._highs.modelStatusToString(status)}")
        solution = self._highs.getSolution()
        values, self._weights = np.array(solution.col_value), np.abs(solution.row_dual)
        return values[:-1] * self._units, float(values[-1] * self._units.sum())

    def _load(self, units: Array) -> None:
        """Give HiGHS the whole model anew, in other units."""
        self._units = units.copy()
        self._highs.clearModel()
        free = np.append(np.zeros(self._size), -INF)
        self._highs.addVars(self._size + 1, free, np.full(self._size + 1, INF))
        self._highs.changeColCost(self._size, -1.0)
        self._add_rows(self._gradients, self._levels)

    def _add_rows(self, gradients: Sequence[Array], levels: Sequence[float]) -> None:
        index, unit_s = np.arange(self._size + 1, dtype=np.int32), self._units.sum()
        for gradient, level in zip(gradients, levels, strict=True):
            row = np.append(-gradient * self._units / unit_s, 1.0)
            self._highs.addRow(-INF, level / unit_s, self._size + 1, index, row)

    def _run(self) -> Any:
        self._highs.run()
        return self._highs.getModelStatus()

    def weights(self) -> Array:
        """(cuts,) multipliers of the cuts at the last maximiser, 0 for later cuts."""
        return np.append(self._weights, np.zeros(len(self._levels) - len(self._weights)))


class PersistentMilp:
    """A Pyomo MILP that stays loaded in HiGHS between runs; cuts are added, nothing is rebuilt."""

    def __init__(self, model: Any, settings: HighsSettings, seed: int):
        from pyomo.core import Constraint, Objective  # Pyomo, only when used

        from dtkd_opt.solvers.pyomo_rows import PyomoRows

        self._highs: Any = _SilentHighs()  # type: ignore[no-untyped-call]
        self._rows = PyomoRows(self._highs)
        self._rows.add(list(model.component_data_objects(Constraint, active=True)))
        self._rows.minimise(*model.component_data_objects(Objective, active=True))
        self._stop = threading.Event()
        self._dual_bound = -INF  # written by HiGHS's thread
        self._tolerance = max(settings.feasibility_tolerance, 1e-10)  # HiGHS allows no less
        self._configure(settings, seed)

    def _configure(self, settings: HighsSettings, seed: int) -> None:
        values = {
            "log_to_console": False,
            "output_flag": bool(settings.log_file),
            "log_file": settings.log_file,
            "threads": settings.threads,
            "random_seed": seed,
            "mip_abs_gap": 0.0,
            **settings.options,
        }
        for name, value in values.items():
            self._set(name, value)
        for name in _CALLBACKS:
            callback = getattr(self._highs, name)
            callback += self._on_callback

    def _set(self, name: str, value: Any) -> None:
        try:
            taken = self._highs.setOptionValue(name, value) == highspy.HighsStatus.kOk
        except (TypeError, ValueError):  # of a type that no option has
            taken = False
        if not taken:
            raise UsageError(f"HiGHS does not take the option {name} = {value!r}")

    def add(self, constraints: Sequence[Any]) -> None:
        """Add Pyomo constraints (already on the model) to the loaded MILP."""
        if constraints:
            self._rows.add(constraints)

    def start_from(self, values: Sequence[tuple[Any, float]]) -> None:
        """Give HiGHS a starting solution: values of some variables, the rest it completes."""
        index = self._rows.columns([var for var, _ in values])
        self._highs.setSolution(len(index), index, np.array([v for _, v in values], float))

    def run(
        self, rel_gap: float, time_limit: float, callback: Callable[[float], None] | None = None
    ) -> MilpOutcome:
        """Solve to a relative gap or for some seconds; Ctrl-C ends the run and is not raised.

        `callback` gets HiGHS's dual bound about every 0.05 s, in the caller's thread.
        """
        self._set("mip_rel_gap", rel_gap)
        self._highs.setOptionValue("time_limit", max(time_limit, 1e-3))
        tolerance = self._tolerance
        interrupted = self._run_with(tolerance, callback)
        # HiGHS may reject its own optimum for an infeasibility of just the tolerance: loosen it
        rejected = highspy.HighsModelStatus.kSolveError
        while self._highs.getModelStatus() == rejected and tolerance < 1e-6 and not interrupted:
            tolerance *= 10
            interrupted = self._run_with(tolerance, callback)
        return self._outcome(interrupted)

    def _run_with(self, tolerance: float, callback: Callable[[float], None] | None) -> bool:
        """One run at a feasibility tolerance; True if Ctrl-C stopped it (see KeepOnCtrlC)."""
        self._set("mip_feasibility_tolerance", tolerance)
        self._set("primal_feasibility_tolerance", tolerance)
        self._set("dual_feasibility_tolerance", 1e-10)  # the bound is as good as this
        self._stop.clear()
        self._dual_bound = -INF
        done = threading.Event()  # Thread.join forgets a running thread when it is interrupted

        def work() -> None:
            try:
                self._highs.run()
            finally:
                done.set()

        try:
            threading.Thread(target=work, daemon=True).start()
            while not done.wait(0.05):
                if callback is not None and np.isfinite(self._dual_bound):
                    callback(self._dual_bound)
            return False
        except BaseException as error:
            self._stop.set()
            done.wait()
            if isinstance(error, KeyboardInterrupt):
                return True
            raise

    def _on_callback(self, event: Any) -> None:
        if self._stop.is_set():
            event.interrupt()
        self._dual_bound = event.data_out.mip_dual_bound

    def _outcome(self, interrupted: bool) -> MilpOutcome:
        status, info = self._highs.getModelStatus(), self._highs.getInfo()
        statuses = highspy.HighsModelStatus
        solved = bool(self._highs.getSolution().value_valid)
        feasible = solved and info.primal_solution_status == highspy.kSolutionStatusFeasible
        linear = info.mip_node_count < 0  # nothing to branch on: the optimum is the bound
        bound = info.objective_function_value if linear else info.mip_dual_bound
        if status in (statuses.kInfeasible, statuses.kUnboundedOrInfeasible):
            return MilpOutcome("infeasible", INF, False)
        if interrupted or status == statuses.kInterrupt:
            return MilpOutcome("interrupted", bound, feasible)
        if status == statuses.kOptimal:
            return MilpOutcome("optimal", bound, True)
        if status == statuses.kTimeLimit:
            return MilpOutcome("time_limit", bound, feasible)
        raise ArithmeticError(f"HiGHS stopped with {self._highs.modelStatusToString(status)}")

    def values(self, variables: Sequence[Any]) -> Array:
        """The last solution's values of some Pyomo variables."""
        values: Array = np.array(self._highs.getSolution().col_value)
        return np.asarray(values[self._rows.columns(variables)])
