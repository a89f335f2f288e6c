"""The methods: one file and one signature each, one way to run them, one result.

For others: :func:`solve` and its :class:`Result`; :class:`Stop`, :class:`Progress` and
:class:`Search`, which a method works on; :data:`METHODS` and :func:`get_method`, the registry. The
methods themselves (``price.Price``, ``exact.Exact``, …) load solvers and are imported on first use.
"""

from dtkd_opt.methods.registry import METHODS, get_method, method_names
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.search import NoPlanError, Search
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import Progress, Stop, TimeIsUp, relative_gap

__all__ = [
    "METHODS", "NoPlanError", "Progress", "Result", "Search", "Stop", "TimeIsUp", "get_method",
    "method_names", "relative_gap", "solve",
]  # fmt: skip
