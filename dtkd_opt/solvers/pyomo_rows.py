"""Pyomo's linear constraints and objective as the columns, rows and costs that HiGHS takes.

Our own, because Pyomo's interface to HiGHS captures the output of the whole process while it loads
a model: what other threads print then is lost, and two that load models wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import highspy
import numpy as np
from pyomo.common.collections import ComponentMap
from pyomo.repn import generate_standard_repn


class PyomoRows:
    """Which column of HiGHS each of Pyomo's variables is; adds rows and costs to HiGHS."""

    def __init__(self, highs: highspy.Highs):
        self._highs: Any = highs
        self._column = ComponentMap()  # keeps the variables, whose ids it goes by

    def add(self, constraints: Sequence[Any]) -> None:
        """Add constraints, with a column for each variable that HiGHS does not have yet."""
        linear = [_linear(con.body) for con in constraints]
        self._add_columns([var for row in linear for var in row.linear_vars])
        columns = [self._column[var] for row in linear for var in row.linear_vars]
        sizes = [len(row.linear_vars) for row in linear]
        pairs = list(zip(constraints, linear, strict=True))
        self._take(
            self._highs.addRows,
            len(linear),
            np.array([_or_inf(con.lb, -1) - row.constant for con, row in pairs]),
            np.array([_or_inf(con.ub, 1) - row.constant for con, row in pairs]),
            len(columns),
            np.cumsum([0, *sizes[:-1]], dtype=np.int32),
            np.array(columns, dtype=np.int32),
            np.array([coef for row in linear for coef in row.linear_coefs], dtype=float),
        )

    def minimise(self, objective: Any) -> None:
        """Give HiGHS an objective."""
        row = _linear(objective.expr)
        self._add_columns(row.linear_vars)
        columns = self.columns(row.linear_vars)
        costs = np.array(row.linear_coefs, dtype=float)
        self._take(self._highs.changeColsCost, len(columns), columns, costs)
        self._highs.changeObjectiveOffset(float(row.constant))

    def _take(self, call: Callable[..., Any], *given: Any) -> None:
        """ArithmeticError where HiGHS takes none of it, as of numbers too large for it."""
        if call(*given) == highspy.HighsStatus.kError:
            raise ArithmeticError("HiGHS does not take a part of the model: numbers too large")

    def columns(self, variables: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int32]]:
        """(V,) the columns of some variables."""
        return np.array([self._column[var] for var in variables], dtype=np.int32)

    def _add_columns(self, variables: Sequence[Any]) -> None:
        first = len(self._column)
        new = []
        for var in variables:
            if var not in self._column:
                self._column[var] = len(self._column)
                new.append(var)
        index = np.arange(first, len(self._column), dtype=np.int32)
        low = np.array([_or_inf(var.lb, -1) for var in new])
        high = np.array([_or_inf(var.ub, 1) for var in new])
        kinds = highspy.HighsVarType
        types = [kinds.kContinuous if var.is_continuous() else kinds.kInteger for var in new]
        self._take(self._highs.addVars, len(new), low, high)
        self._highs.changeColsIntegrality(len(new), index, np.array(types))


def _linear(expression: Any) -> Any:
    """Constant, variables and coefficients of a linear expression; ValueError for any other."""
    repn = generate_standard_repn(expression, quadratic=False)
    if repn.nonlinear_expr is not None:
        raise ValueError(f"HiGHS takes linear expressions only, not {repn.nonlinear_expr}")
    return repn


def _or_inf(bound: float | None, sign: int) -> float:
    return sign * highspy.kHighsInf if bound is None else float(bound)
