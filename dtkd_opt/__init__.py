"""Proven plans for digital-twin-assisted knowledge distillation.

    import dtkd_opt as do
    result = do.solve(do.read_instance("instances/n50.json"))
    do.write_solution(result, "n50.solution.json")

Solvers are imported on first use, so that `import dtkd_opt` and `dtkd-opt --help` are quick.
"""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy  # noqa: F401 - before pydantic: after it, its types take longer to make

from dtkd_opt.errors import DtkdError, InfeasibleError, InputError, UsageError
from dtkd_opt.federation import Federation, FederationPlan, FederationSpec, federate, federate_all
from dtkd_opt.federation.fedavg_plan import FedAvgPlan, plan_fedavg
from dtkd_opt.federation.local_only import local_only
from dtkd_opt.methods.registry import METHODS, get_method
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.search import Incumbent, NoPlanError, Search
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import Progress, Stop, TimeIsUp
from dtkd_opt.pricing.allocation import Allocation, ChoiceInfeasible, allocate
from dtkd_opt.pricing.constrained_allocation import Conflict
from dtkd_opt.pricing.equal_shares import equal_share_choice
from dtkd_opt.pricing.lagrangian import DualPoint, price
from dtkd_opt.problem.evaluate import Evaluation, evaluate
from dtkd_opt.problem.generate import GeneratorSettings, generate_instance
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.calibration import (
    AccuracyCurve,
    AccuracyStatistics,
    Calibration,
    ChosenHyperparameters,
    DistillationGain,
    NetworkCosts,
    PowerLaw,
    read_calibration,
    shipped_calibration,
    shipped_models,
    write_calibration,
)  # fmt: skip
from dtkd_opt.records.certificate import (
    Certificate,
    LeafNode,
    SplitNode,
    read_certificate,
    write_certificate,
)  # fmt: skip
from dtkd_opt.records.elements import Model, Server, Task
from dtkd_opt.records.fields import Record
from dtkd_opt.records.instance import Instance, read_instance, write_instance
from dtkd_opt.records.plan import Plan, PlanRow, PlanRows
from dtkd_opt.records.solution import (
    Solution,
    Termination,
    UserPlan,
    UserPlans,
    read_solution,
    write_solution,
)  # fmt: skip
from dtkd_opt.records.users import User, Users
from dtkd_opt.records.version import __version__ as __version__

if TYPE_CHECKING:
    from dtkd_opt.analysis.compare import Comparison, compare
    from dtkd_opt.analysis.compare.run import Run
    from dtkd_opt.analysis.compare.spec import RunSpec
    from dtkd_opt.analysis.export import export
    from dtkd_opt.analysis.pareto import ParetoFront, pareto
    from dtkd_opt.analysis.planner import Planner
    from dtkd_opt.distill.calibrate import CalibrationResult, calibrate
    from dtkd_opt.distill.jobs import TrainingRow, TrainingSpec
    from dtkd_opt.distill.settings import CalibrationSettings
    from dtkd_opt.distill.training import Diverged, TrainConfig
    from dtkd_opt.federation.fedavg import FedAvgResult, FedAvgSpec, fedavg
    from dtkd_opt.federation.timeline import Timeline
    from dtkd_opt.methods.baselines import AllDevice, AllServer, Greedy, Random
    from dtkd_opt.methods.dqn.checkpoint import TrainState
    from dtkd_opt.methods.dqn.learning_curve import CurveRow
    from dtkd_opt.methods.dqn.method import DQN
    from dtkd_opt.methods.dqn.settings import DQNTrainSettings
    from dtkd_opt.methods.dqn.train import train_dqn
    from dtkd_opt.methods.exact import Exact
    from dtkd_opt.methods.price import Price
    from dtkd_opt.methods.q_learning import QLearning
    from dtkd_opt.proof.certify import certify
    from dtkd_opt.proof.check import check
    from dtkd_opt.proof.verify import verify
    from dtkd_opt.records.schema import json_schema
    from dtkd_opt.solvers.highs import HighsSettings

_LATER = {  # the same, at run time: imported on first use
    "analysis.compare": "Comparison compare", "analysis.compare.run": "Run",
    "analysis.compare.spec": "RunSpec", "analysis.export": "export",
    "analysis.pareto": "ParetoFront pareto", "analysis.planner": "Planner",
    "distill.calibrate": "CalibrationResult calibrate", "distill.jobs": "TrainingRow TrainingSpec",
    "distill.settings": "CalibrationSettings", "distill.training": "Diverged TrainConfig",
    "federation.fedavg": "FedAvgResult FedAvgSpec fedavg", "federation.timeline": "Timeline",
    "methods.baselines": "AllDevice AllServer Greedy Random",
    "methods.dqn.checkpoint": "TrainState", "methods.dqn.learning_curve": "CurveRow",
    "methods.dqn.method": "DQN", "methods.dqn.settings": "DQNTrainSettings",
    "methods.dqn.train": "train_dqn", "methods.exact": "Exact", "methods.price": "Price",
    "methods.q_learning": "QLearning", "proof.certify": "certify", "proof.check": "check",
    "proof.verify": "verify", "records.schema": "json_schema", "solvers.highs": "HighsSettings",
}  # fmt: skip

__all__ = [  # noqa: RUF022 - by subject
    # a problem
    "Instance", "Task", "Server", "Model", "AccuracyTable", "User", "Users",
    "read_instance", "write_instance", "generate_instance", "GeneratorSettings",
    # plans and solutions
    "Plan", "PlanRow", "PlanRows", "UserPlan", "UserPlans", "Solution",
    "read_solution", "write_solution",
    # solving
    "solve", "Result", "Progress", "Planner", "METHODS", "get_method",
    "Price", "Exact", "QLearning", "DQN", "Greedy", "AllDevice", "AllServer", "Random",
    "HighsSettings", "DQNTrainSettings", "train_dqn", "TrainState", "CurveRow",
    # its parts, for own methods
    "Record", "Search", "Stop", "Termination", "Incumbent", "DualPoint", "price",
    "Options", "build_options", "equal_share_choice", "Allocation", "allocate", "Conflict",
    "Evaluation", "evaluate",
    # proof
    "check", "certify", "verify", "Certificate", "LeafNode", "SplitNode",
    "read_certificate", "write_certificate",
    # analysis
    "compare", "Comparison", "Run", "RunSpec", "pareto", "ParetoFront", "export", "json_schema",
    # accuracy
    "Calibration", "AccuracyCurve", "AccuracyStatistics", "ChosenHyperparameters",
    "DistillationGain", "NetworkCosts", "PowerLaw", "calibrate", "CalibrationResult",
    "CalibrationSettings", "TrainingRow", "TrainingSpec", "TrainConfig", "read_calibration",
    "write_calibration", "shipped_calibration", "shipped_models",
    # plans carried out
    "federate", "federate_all", "FederationSpec", "FederationPlan", "Federation", "Timeline",
    "local_only", "plan_fedavg", "FedAvgPlan", "fedavg", "FedAvgResult", "FedAvgSpec",
    # errors
    "DtkdError", "InputError", "UsageError", "InfeasibleError", "NoPlanError",
    "ChoiceInfeasible", "TimeIsUp", "Diverged",
]  # fmt: skip


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _raise_missing_extra(name: str, error: Exception, *args: Any, **settings: Any) -> None:
    """What stands for a name that needs an extra: `help(dtkd_opt)` and `import *` go on."""
    if isinstance(error, ModuleNotFoundError):
        raise InputError(name, [f'needs {error.name}: pip install "dtkd-opt[train]"'])
    raise error


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names.split():
            try:
                return getattr(import_module(f"dtkd_opt.{module}"), name)
            except (InputError, ModuleNotFoundError) as error:
                return partial(_raise_missing_extra, name, error)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
