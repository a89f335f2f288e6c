"""Certify: prove how far any plan is from the best one, whoever made it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from dtkd_opt.errors import InputError
from dtkd_opt.methods.proof_tree import OptionSplit, PricedLeaf, ProofTree
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Callback, check_limits
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.proof.check import check_plan
from dtkd_opt.proof.verify.arithmetic import can_verify, make_arithmetic
from dtkd_opt.proof.verify.verification import proven_bounds, verify
from dtkd_opt.records.arguments import as_callback, as_number
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.certificate import Certificate, LeafNode, Node, SplitNode, gap_above
from dtkd_opt.records.instance import DEVICE, PLACES, Instance
from dtkd_opt.records.plan import PlanRows
from dtkd_opt.records.solution import HasSolution, Solution, as_solution
from dtkd_opt.records.version import __version__
from dtkd_opt.runtime.interrupts import KeepOnCtrlC

# far more than rounding errors: claims must hold in exact arithmetic
_ROUNDED_UP, _ROUNDED_DOWN = 1 + 1e-12, 1e-11
_OF_ACCURACY = 2e-14  # twice what the checker's doubles take off an accuracy


def certify(
    instance: Instance,
    solution: Solution | HasSolution,
    *,
    target: float = 1e-6,
    time_limit: float | None = None,
    callback: Callback | None = None,
) -> Certificate:
    """Prove a gap for the plan of a solution or result; nothing else of it matters.

    Parameters
    ----------
    instance, solution
        The problem, and a plan for it from anywhere.
    target
        Relative gap at which to stop; a plan that is worse than the best by more gets the best's
        bound to this gap instead. Prices alone prove it: where :func:`solve` needs HiGHS, whose
        proofs cannot be checked, the certified gap may stay wider.
    time_limit
        Seconds of searching, or None for no limit; what was proven by then is certified.
    callback
        Called with a :class:`Progress` whenever bound, incumbent or phase change.

    Returns
    -------
    Certificate
        Its claims hold in exact arithmetic: :func:`verify` has checked them, where python-flint is
        installed or there are more users than it is for.

    Raises
    ------
    UsageError
        When target or time limit are no positive numbers.
    InputError
        When the plan is not feasible; one line for each limit that it breaks.
    """
    from dtkd_opt.methods.price import Price  # solvers, only when used

    as_number(target, "target must be a number of at least 0", lambda x: x >= 0)
    stop = check_limits(target, time_limit)
    as_callback(callback, "a Progress")
    solution = as_solution(solution)
    evaluation, faults = check_plan(instance, solution)
    if evaluation is None or faults:
        raise InputError("solution", faults)
    search = Search(instance, build_options(instance), stop, callback)
    search.target = evaluation.objective
    with KeepOnCtrlC():
        _, proof = Price().prove(search)
    nodes, prices = _nodes(instance, search.options, proof)
    objective = evaluation.objective * _ROUNDED_UP
    objective += _OF_ACCURACY * instance.seconds_per_error
    # by its tolerances, a plan may cost less than any that keeps its limits exactly
    bound = min(objective, *(node.bound for node in nodes if isinstance(node, LeafNode)))
    certificate = Certificate(
        instance=instance.name,
        instance_sha256=instance.sha256,
        version=__version__,
        objective=objective,
        bound=bound,
        gap=gap_above(objective, bound),
        incumbent=PlanRows.from_plan(instance, solution.users.to_plan(instance)),
        prices=prices,
        tree=nodes,
    )
    return _verified(instance, certificate) if can_verify(instance) else certificate


def _verified(instance: Instance, certificate: Certificate) -> Certificate:
    """The certificate, with lower bounds where the checker proves less; InputError for its plan."""
    if not verify(instance, certificate):
        return certificate
    arithmetic = make_arithmetic(instance)
    tree = list(certificate.tree)
    for (v, leaf), proven in proven_bounds(instance, certificate, arithmetic):
        if proven < leaf.bound:
            tree[v] = leaf.replace(bound=math.nextafter(float(proven), -math.inf))
    bounds = (node.bound for node in tree if isinstance(node, LeafNode))
    bound = min(certificate.objective, *bounds)
    gap = gap_above(certificate.objective, bound)
    certificate = replace(certificate, tree=tuple(tree), bound=bound, gap=gap)
    if faults := verify(instance, certificate):
        raise InputError("solution", faults)
    return certificate


def _nodes(
    instance: Instance, options: Options, proof: ProofTree
) -> tuple[tuple[Node, ...], Array]:
    """The proof's nodes in the certificate's terms, and its distinct sets of prices."""
    sets: dict[bytes, int] = {}
    prices: list[Array] = []
    nodes: list[Node] = []
    for node in proof.nodes:
        if isinstance(node, OptionSplit):
            listed = _options(instance, options, node.options)
            nodes.append(
                SplitNode(user=node.user, options=listed, inside=node.inside, outside=node.outside)
            )
            continue
        assert isinstance(node, PricedLeaf)
        number = sets.setdefault(node.prices.tobytes(), len(sets))
        if number == len(prices):
            prices.append(node.prices)
        value = node.value / options.n_users
        nodes.append(LeafNode(prices=number, bound=value - _ROUNDED_DOWN * abs(value)))
    return tuple(nodes), np.array(prices)


def _options(instance: Instance, options: Options, rows: Index) -> tuple[tuple[int, str, int], ...]:
    """(model, place, server) of some options.

    A device that downloads nothing is one row of the options and one for each server in the file.
    """
    listed = []
    for row in rows:
        servers = [int(options.server[row])]
        if options.place[row] == DEVICE and options.downlink_work[row] == 0:
            servers = list(range(len(instance.servers)))
        place = PLACES[options.place[row]]
        listed += [(int(options.model[row]), place, server) for server in servers]
    return tuple(listed)
