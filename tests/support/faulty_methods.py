"""A package of methods for `compare`: wrong ones, failing ones, and one that can be held up."""

from __future__ import annotations

from pathlib import Path

CODE = '''
import os
import signal
import time
from dataclasses import replace

from dtkd_opt.methods.baselines import Greedy


def broken(search, seed, params: None):
    """Loses its way."""
    raise RuntimeError(f"lost with {os.environ['OMP_NUM_THREADS']} thread")


def wrong(search, seed, params: None):
    """Gives every user more of the uplink than there is."""
    Greedy()(search, seed)
    plan = search.incumbent.plan
    more = replace(plan, uplink_hz=3 * plan.uplink_hz)
    search.incumbent = replace(search.incumbent, plan=more)
    return "heuristic_end"


def boasting(search, seed, params: None):
    """Claims its own plan to be the best."""
    Greedy()(search, seed)
    search.bound = search.objective
    return "gap_reached"


def doomed(search, seed, params: None):
    """Ends its process as the system does for want of memory; not when it is only loaded."""
    if len(search.instance.users) > 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return Greedy()(search, seed)


def held(search, seed, params: None):
    """Waits while there is the file HOLD."""
    while len(search.instance.users) > 3 and os.path.exists(os.environ["HOLD"]):
        with open(os.environ["HOLD"], "w") as file:
            print(os.getpid(), file=file)
        time.sleep(0.05)
    return Greedy()(search, seed)
'''
NAMES = ("broken", "wrong", "boasting", "doomed", "held")


def install(folder: Path) -> Path:
    """Write the package as pip would; with the folder on PYTHONPATH its methods are there."""
    info = folder / "faulty_methods-1.2.dist-info"
    info.mkdir(parents=True)
    (folder / "faulty_methods.py").write_text(CODE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-methods\nVersion: 1.2\n")
    lines = [f"{name} = faulty_methods:{name}" for name in NAMES]
    (info / "entry_points.txt").write_text("\n".join(["[dtkd_opt.methods]", *lines, ""]))
    return folder
