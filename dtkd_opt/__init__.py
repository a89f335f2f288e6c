"""Proven plans for digital-twin-assisted knowledge distillation.

    import dtkd_opt as do
    result = do.solve(do.read_instance("instances/n50.json"))
    do.write_solution(result.solution, "n50.solution.json")

Solvers are imported on first use, so that `import dtkd_opt` and `dtkd-opt --help` are quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dtkd_opt.analysis.compare import Comparison, compare
from dtkd_opt.analysis.pareto import ParetoFront, pareto
from dtkd_opt.analysis.planner import Planner
from dtkd_opt.errors import DtkdError, InfeasibleError, InputError, UsageError
from dtkd_opt.federate import Federation, federate, federate_all
from dtkd_opt.federate.fedavg_plan import FedAvgPlan, plan_fedavg
from dtkd_opt.federate.local_only import hard_labels
from dtkd_opt.federate.planned import Planned
from dtkd_opt.methods import METHODS
from dtkd_opt.methods.search import Progress
from dtkd_opt.methods.solve import Result, solve
from dtkd_opt.milp.export import export
from dtkd_opt.pricing.allocation import Allocation, ChoiceInfeasible, allocate
from dtkd_opt.problem.evaluate import Evaluation, Plan, evaluate
from dtkd_opt.problem.generate import GeneratorParams, generate_instance
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.proof.certify import certify
from dtkd_opt.proof.check import check
from dtkd_opt.proof.verify import verify
from dtkd_opt.records.calibration import (
    Calibration,
    read_calibration,
    shipped_calibration,
    write_calibration,
)
from dtkd_opt.records.certificate import Certificate, read_certificate, write_certificate
from dtkd_opt.records.instance import Instance, read_instance, write_instance
from dtkd_opt.records.solution import Solution, read_solution, write_solution
from dtkd_opt.records.version import __version__ as __version__

if TYPE_CHECKING:
    from dtkd_opt.distill.calibrate import calibrate
    from dtkd_opt.distill.settings import CalibrationSettings
    from dtkd_opt.federate.fedavg import fedavg
    from dtkd_opt.methods.dqn.method import DqnParams
    from dtkd_opt.methods.dqn.train import train_dqn
    from dtkd_opt.methods.dqn.training import TrainDqnParams
    from dtkd_opt.methods.exact import ExactParams
    from dtkd_opt.methods.price import PriceParams
    from dtkd_opt.methods.q_learning import QLearningParams
    from dtkd_opt.solvers.highs import HighsParams

_LATER = {
    "CalibrationSettings": "dtkd_opt.distill.settings",
    "DqnParams": "dtkd_opt.methods.dqn.method",
    "ExactParams": "dtkd_opt.methods.exact",
    "HighsParams": "dtkd_opt.solvers.highs",
    "PriceParams": "dtkd_opt.methods.price",
    "QLearningParams": "dtkd_opt.methods.q_learning",
    "TrainDqnParams": "dtkd_opt.methods.dqn.training",
    "calibrate": "dtkd_opt.distill.calibrate",
    "fedavg": "dtkd_opt.federate.fedavg",
    "train_dqn": "dtkd_opt.methods.dqn.train",
}

__all__ = [
    "METHODS",
    "Allocation",
    "Calibration",
    "CalibrationSettings",
    "Certificate",
    "ChoiceInfeasible",
    "Comparison",
    "DqnParams",
    "DtkdError",
    "Evaluation",
    "ExactParams",
    "FedAvgPlan",
    "Federation",
    "GeneratorParams",
    "HighsParams",
    "InfeasibleError",
    "InputError",
    "Instance",
    "Options",
    "ParetoFront",
    "Plan",
    "Planned",
    "Planner",
    "PriceParams",
    "Progress",
    "QLearningParams",
    "Result",
    "Solution",
    "TrainDqnParams",
    "UsageError",
    "allocate",
    "build_options",
    "calibrate",
    "certify",
    "check",
    "compare",
    "evaluate",
    "export",
    "fedavg",
    "federate",
    "federate_all",
    "generate_instance",
    "hard_labels",
    "pareto",
    "plan_fedavg",
    "read_calibration",
    "read_certificate",
    "read_instance",
    "read_solution",
    "shipped_calibration",
    "solve",
    "train_dqn",
    "verify",
    "write_calibration",
    "write_certificate",
    "write_instance",
    "write_solution",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
