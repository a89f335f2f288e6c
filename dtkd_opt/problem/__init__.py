"""What a plan costs: equations, options, evaluation, random instances.

`physics` has the equations, `demands` the loads of each choice, `options` the admissible
choices of all users as arrays, `evaluate` the true figures of a plan, `generate` random instances,
`dominance` and `server_ranking` what follows from the options alone.
"""

from dtkd_opt.problem.demands import Demands
from dtkd_opt.problem.evaluate import Evaluation, evaluate
from dtkd_opt.problem.generate import GeneratorSettings, generate_instance
from dtkd_opt.problem.options import Options, build_options, pool_delays

__all__ = [
    "Demands", "Evaluation", "GeneratorSettings", "Options", "build_options", "evaluate",
    "generate_instance", "pool_delays",
]  # fmt: skip
