"""The only place that calls Clarabel: the quadratic master of the prices.

Clarabel is an interior-point solver; HiGHS's own for quadratic programs gave up on some of these.
"""

from __future__ import annotations

import clarabel
import numpy as np
from scipy import sparse

from dtkd_opt.records.arrays import Array

_TOLERANCE = 1e-13


class MasterQP:
    """max θ - |w|² subject to cuts θ ≤ value + gradient · (w - point)."""

    def __init__(self, size: int):
        self._size = size
        self._rows: list[Array] = []
        self._levels: list[float] = []
        self._weights: Array = np.zeros(0)
        self._hessian = sparse.diags(np.append(np.full(size, 2.0), 0.0)).tocsc()
        self._cost = np.append(np.zeros(size), -1.0)
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.presolve_enable = False
        settings.max_threads = 1
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
        self._settings = settings

    def add_cut(self, value: float, gradient: Array, point: Array) -> None:
        """One supporting plane of the concave function at `point`."""
        self._rows.append(np.append(-gradient, 1.0))
        self._levels.append(float(value - gradient @ point))

    def maximise(self) -> tuple[Array, float]:
        """Maximiser of the model and its value there; ArithmeticError if Clarabel fails."""
        cone = [clarabel.NonnegativeConeT(len(self._rows))]
        problem = (self._hessian, self._cost, self._dense(), np.array(self._levels), cone)
        result = clarabel.DefaultSolver(*problem, self._settings).solve()
        values, self._weights = np.array(result.x), np.array(result.z)
        if not np.isfinite(values).all():
            raise ArithmeticError(f"price master: {result.status}")
        roots = np.maximum(values[:-1], 0.0)
        return roots, float(
            (np.array(self._levels) - np.array(self._rows)[:, :-1] @ roots).min() - roots @ roots
        )

    def weights(self) -> Array:
        """(cuts,) multipliers of the cuts at the last maximiser; 0 for later cuts."""
        return np.append(self._weights, np.zeros(len(self._rows) - len(self._weights)))

    def _dense(self) -> sparse.csc_matrix:
        rows = np.array(self._rows)
        m, n = rows.shape
        index = np.tile(np.arange(m, dtype=np.int64), n)
        return sparse.csc_matrix((rows.T.ravel(), index, np.arange(0, m * n + 1, m)), (m, n))
