"""Proven plans for digital-twin-assisted knowledge distillation.

    import dtkd_opt as do
    result = do.solve(do.read_instance("instances/n50.json"))
    do.write_solution(result, "n50.solution.json")

Solvers are imported on first use, so that `import dtkd_opt` and `dtkd-opt --help` are quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dtkd_opt.analysis.compare import Comparison, compare
from dtkd_opt.analysis.export import export
from dtkd_opt.analysis.pareto import ParetoFront, pareto
from dtkd_opt.analysis.planner import Planner
from dtkd_opt.errors import DtkdError, InfeasibleError, InputError, UsageError
from dtkd_opt.federate import Federation, federate, federate_all
from dtkd_opt.federate.fedavg_plan import FedAvgPlan, plan_fedavg
from dtkd_opt.federate.federation_spec import FederationSpec
from dtkd_opt.federate.local_only import local_only
from dtkd_opt.federate.plan import FederationPlan
from dtkd_opt.methods import METHODS, Progress, Result, Search, Stop, get_method, solve
from dtkd_opt.pricing.allocation import Allocation, ChoiceInfeasible, allocate
from dtkd_opt.problem.evaluate import Evaluation, evaluate
from dtkd_opt.problem.generate import GeneratorSettings, generate_instance
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.proof.certify import certify
from dtkd_opt.proof.check import check
from dtkd_opt.proof.verify import verify
from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.calibration import (
    Calibration,
    read_calibration,
    shipped_calibration,
    shipped_models,
    write_calibration,
)
from dtkd_opt.records.certificate import Certificate, read_certificate, write_certificate
from dtkd_opt.records.elements import Model, Server, Task
from dtkd_opt.records.instance import Instance, read_instance, write_instance
from dtkd_opt.records.plan import Plan, PlanRows
from dtkd_opt.records.solution import Solution, UserPlans, read_solution, write_solution
from dtkd_opt.records.users import User, Users
from dtkd_opt.records.version import __version__ as __version__

if TYPE_CHECKING:
    from dtkd_opt.distill.calibrate import calibrate
    from dtkd_opt.distill.settings import CalibrationSettings
    from dtkd_opt.federate.fedavg import FedAvgResult, fedavg
    from dtkd_opt.methods.baselines import AllDevice, AllServer, Greedy, Random
    from dtkd_opt.methods.dqn.method import DQN
    from dtkd_opt.methods.dqn.settings import DQNTrainSettings
    from dtkd_opt.methods.dqn.train import train_dqn
    from dtkd_opt.methods.exact import Exact
    from dtkd_opt.methods.price import Price
    from dtkd_opt.methods.q_learning import QLearning
    from dtkd_opt.records.schema import json_schema
    from dtkd_opt.solvers.highs import HighsSettings

_LATER = {
    "AllDevice": "dtkd_opt.methods.baselines",
    "AllServer": "dtkd_opt.methods.baselines",
    "DQN": "dtkd_opt.methods.dqn.method",
    "Exact": "dtkd_opt.methods.exact",
    "Greedy": "dtkd_opt.methods.baselines",
    "HighsSettings": "dtkd_opt.solvers.highs",
    "Price": "dtkd_opt.methods.price",
    "QLearning": "dtkd_opt.methods.q_learning",
    "Random": "dtkd_opt.methods.baselines",
    "DQNTrainSettings": "dtkd_opt.methods.dqn.settings",
    "CalibrationSettings": "dtkd_opt.distill.settings",
    "calibrate": "dtkd_opt.distill.calibrate",
    "FedAvgResult": "dtkd_opt.federate.fedavg",
    "fedavg": "dtkd_opt.federate.fedavg",
    "json_schema": "dtkd_opt.records.schema",
    "train_dqn": "dtkd_opt.methods.dqn.train",
}

__all__ = [
    "DQN",
    "METHODS",
    "AccuracyTable",
    "AllDevice",
    "AllServer",
    "Allocation",
    "Calibration",
    "CalibrationSettings",
    "Certificate",
    "ChoiceInfeasible",
    "Comparison",
    "DQNTrainSettings",
    "DtkdError",
    "Evaluation",
    "Exact",
    "FedAvgPlan",
    "FedAvgResult",
    "Federation",
    "FederationPlan",
    "FederationSpec",
    "GeneratorSettings",
    "Greedy",
    "HighsSettings",
    "InfeasibleError",
    "InputError",
    "Instance",
    "Model",
    "Options",
    "ParetoFront",
    "Plan",
    "PlanRows",
    "Planner",
    "Price",
    "Progress",
    "QLearning",
    "Random",
    "Result",
    "Search",
    "Server",
    "Solution",
    "Stop",
    "Task",
    "UsageError",
    "User",
    "UserPlans",
    "Users",
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
    "get_method",
    "json_schema",
    "local_only",
    "pareto",
    "plan_fedavg",
    "read_calibration",
    "read_certificate",
    "read_instance",
    "read_solution",
    "shipped_calibration",
    "shipped_models",
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
