"""Federation: carry a plan out, with the training that it plans on real data; needs `train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dtkd_opt.federate.planned import Labels, Planned
from dtkd_opt.federate.result import Federation as Federation
from dtkd_opt.runtime.runner import PhaseCallback

if TYPE_CHECKING:
    from dtkd_opt.records.calibration import Calibration
    from dtkd_opt.records.instance import Instance
    from dtkd_opt.records.solution import Solution

IN_PROCESS, FLOWER, SIMULATION = "in-process", "flower", "flower-simulation"
ENGINES = (IN_PROCESS, FLOWER, SIMULATION)
Say = Callable[[str], None]


def federate(
    instance: Instance,
    solution: Solution,
    data: str = "digits",
    *,
    data_dir: str | Path | None = None,
    partition: str = "iid",
    seed: int = 0,
    labels: Labels = "soft",
    table: Calibration | None = None,
    engine: str = IN_PROCESS,
    jobs: int = -1,
    output: str | Path | None = None,
    resume: bool = False,
    cache: str | Path | None = None,
    say: Say | None = None,
    follow: PhaseCallback | None = None,
) -> Federation:
    """Carry a plan out: train each user's student where the plan says, with what is there.

    Each user gets its private samples, and its twin mirrors all but the fresh ones; the teacher is
    trained on what the twins mirror. On the device a student learns from soft labels of the
    mirrored samples, which are downloaded, and hard labels of the fresh ones. At the server it
    learns from soft labels of all, as the fresh samples are uploaded, and its weights are
    downloaded. Equal arguments give equal accuracies, whichever the engine.

    Parameters
    ----------
    instance, solution
        The problem and a feasible plan for it; students must be networks of this package.
    data, data_dir
        As of :func:`dtkd_opt.distill.data.load_data`.
    partition, seed
        `iid` or `dirichlet(α)`; of the private samples and, with each user's number, the training.
    labels
        `hard`: users learn from hard labels alone, on their devices, as :func:`hard_labels` plans.
    table
        The accuracy table that the predictions are from: learning rate and batch size are those
        that it chose. None: that of :func:`shipped_calibration` where `data` are its and the
        instance carries its task and models (or what :func:`hard_labels` makes of them), else a
        recipe's own.
    engine, jobs
        `in-process`; `flower`, where each user is a process of Flower's (a SuperNode), or
        `flower-simulation`, with its simulation engine: both need the extra `federated`. How many
        users are at work at once; -1 is one a core.
    output
        Folder for users.jsonl, which grows as users are done, and in the end for users.csv,
        gantt.svg, accuracy.svg and summary.md. None: nothing is written.
    resume
        Go on with the users that `output` holds; those that failed get another chance.
    cache
        Folder of trained teachers; by default in the user's cache.
    say, follow
        Called with a line about a damaged teacher; with the phase, how much of it is done and all.

    Raises
    ------
    UsageError
        Settings that mean nothing.
    InputError
        A plan that does not hold, missing extras or data, a folder with other trainings.
    """
    found = federate_all(
        {"plan": Planned(instance, solution, labels)},
        data,
        data_dir=data_dir,
        partition=partition,
        seed=seed,
        table=table,
        engine=engine,
        jobs=jobs,
        output=output,
        resume=resume,
        cache=cache,
        say=say,
        follow=follow,
    )
    return found["plan"]


def federate_all(
    plans: Mapping[str, Planned],
    data: str = "digits",
    *,
    data_dir: str | Path | None = None,
    partition: str = "iid",
    seed: int = 0,
    table: Calibration | None = None,
    engine: str = IN_PROCESS,
    jobs: int = -1,
    output: str | Path | None = None,
    resume: bool = False,
    cache: str | Path | None = None,
    say: Say | None = None,
    follow: PhaseCallback | None = None,
) -> dict[str, Federation]:
    """Carry several plans for the same users out, with the same shards and the same teacher.

    What two plans ask of a user alike (student, place, labels) is trained once.

    Parameters
    ----------
    plans
        By name: of several, each has a folder of this name in `output` for its files. All trainings
        are in the one users.jsonl.
    data, data_dir, partition, seed, table, engine, jobs, output, resume, cache, say, follow
        As of :func:`federate`; without a table each plan is trained as it would be alone.

    Returns
    -------
    dict
        A federation a plan.

    Raises
    ------
    UsageError, InputError
        As :func:`federate`; also where plans are for other users.
    """
    from dtkd_opt.federate.run import carry_out
    from dtkd_opt.federate.setup import Settings

    settings = Settings(
        data=data,
        data_dir=None if data_dir is None else Path(data_dir),
        partition=partition,
        seed=seed,
        table=table,
        engine=engine,
        jobs=jobs,
        output=None if output is None else Path(output),
        resume=resume,
        cache=None if cache is None else Path(cache),
    )
    nothing = (lambda line: None), (lambda phase, done, total: None)
    return carry_out(plans, settings, say or nothing[0], follow or nothing[1])
