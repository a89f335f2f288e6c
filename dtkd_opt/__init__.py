"""Proven plans for digital-twin-assisted knowledge distillation.

    import dtkd_opt as do
    result = do.solve(do.read_instance("instances/n50.json"))
    do.write_solution(result.solution, "n50.solution.json")

Solvers are imported on first use, so that `import dtkd_opt` and `dtkd-opt --help` are quick.
"""

__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dtkd_opt.allocation import Allocation, ChoiceInfeasible, allocate
from dtkd_opt.calibration import (
    Calibration,
    read_calibration,
    shipped_calibration,
    write_calibration,
)
from dtkd_opt.certificate import Certificate, read_certificate, write_certificate
from dtkd_opt.certify import certify
from dtkd_opt.check import check
from dtkd_opt.compare import Comparison, compare
from dtkd_opt.errors import DtkdError, InfeasibleError, InputError, UsageError
from dtkd_opt.evaluate import Evaluation, Plan, evaluate
from dtkd_opt.export import export
from dtkd_opt.federate import Federation, federate, federate_all
from dtkd_opt.federate.fedavg_plan import FedAvgPlan, plan_fedavg
from dtkd_opt.federate.hard import hard_labels
from dtkd_opt.federate.planned import Planned
from dtkd_opt.generate import GeneratorParams, generate_instance
from dtkd_opt.instance import Instance, read_instance, write_instance
from dtkd_opt.methods import METHODS
from dtkd_opt.methods.search import Progress
from dtkd_opt.options import OptionTable, build_options
from dtkd_opt.pareto import Front, pareto
from dtkd_opt.planner import Planner
from dtkd_opt.solution import Solution, read_solution, write_solution
from dtkd_opt.solve import Result, solve
from dtkd_opt.verify import verify

if TYPE_CHECKING:
    from dtkd_opt.distill.calibrate import calibrate
    from dtkd_opt.distill.grid import CalibrateParams
    from dtkd_opt.federate.fedavg import fedavg
    from dtkd_opt.highs import HighsParams
    from dtkd_opt.methods.dqn import DqnParams
    from dtkd_opt.methods.exact import ExactParams
    from dtkd_opt.methods.price import PriceParams
    from dtkd_opt.methods.qlearning import QLearningParams
    from dtkd_opt.train.train_dqn import train_dqn
    from dtkd_opt.train.training import TrainDqnParams

_LATER = {
    "CalibrateParams": "dtkd_opt.distill.grid",
    "DqnParams": "dtkd_opt.methods.dqn",
    "ExactParams": "dtkd_opt.methods.exact",
    "HighsParams": "dtkd_opt.highs",
    "PriceParams": "dtkd_opt.methods.price",
    "QLearningParams": "dtkd_opt.methods.qlearning",
    "TrainDqnParams": "dtkd_opt.train.training",
    "calibrate": "dtkd_opt.distill.calibrate",
    "fedavg": "dtkd_opt.federate.fedavg",
    "train_dqn": "dtkd_opt.train.train_dqn",
}

__all__ = [
    "METHODS",
    "Allocation",
    "CalibrateParams",
    "Calibration",
    "Certificate",
    "ChoiceInfeasible",
    "Comparison",
    "DqnParams",
    "DtkdError",
    "Evaluation",
    "ExactParams",
    "FedAvgPlan",
    "Federation",
    "Front",
    "GeneratorParams",
    "HighsParams",
    "InfeasibleError",
    "InputError",
    "Instance",
    "OptionTable",
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
