"""This checkout's wall times beside another's, run by turns: a ratio holds where seconds do not.

    git worktree add ../other COMMIT
    python experiments/paired.py ../other --repeats 9          # writes paired.csv
    python experiments/paired.py ../other --only import n50 80

Each run is a process of its own that imports the package of one of the two. Of `import`, `help` and
`n50` the whole process counts, of the others the work, in seconds by its own clock.

| column | meaning |
|---|---|
| figure | what ran |
| this_s, other_s | median of the runs [s] |
| ratio | median over the turns of this_s / other_s |
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from common import INSTANCES, ROOT, provenance, write_csv

COLUMNS = ("figure", "this_s", "other_s", "ratio", "repeats")
SOLVE = """
import time, dtkd_opt as do
instance = do.generate_instance({users}, {servers}, seed=0)
started = time.perf_counter()
result = do.solve(instance, "price", gap={gap})
print(time.perf_counter() - started)
assert result.gap <= {gap}
"""
REPLAN = """
import time, numpy as np, dtkd_opt as do
instance = do.read_instance({n50!r})
planner, rng = do.Planner(instance, gap=1e-4), np.random.default_rng(0)
planner.solve(instance.users.channel_gain)
draws = [instance.users.channel_gain * rng.exponential(size=(50, 1)) for _ in range(50)]
started = time.perf_counter()
for gain in draws:
    planner.solve(np.minimum(gain, 1.0))
print((time.perf_counter() - started) / len(draws))
"""
N50 = str(INSTANCES / "n50.json")
COMMANDS = {  # the whole process counts
    "import": ["-c", "import dtkd_opt"],
    "help": ["-c", "import sys; sys.argv[1:] = ['--help']; {main}"],
    "n50": ["-c", "import sys; sys.argv[1:] = ['solve', {n50!r}, '--output', '{out}']; {main}"],
}
WORK = {  # the work by its own clock
    "n50 replanned": REPLAN.format(n50=N50),
    "80 users, 4 servers, 1e-6": SOLVE.format(users=80, servers=4, gap=1e-6),
    "1,000 users, 10 servers, 1e-5": SOLVE.format(users=1000, servers=10, gap=1e-5),
    "1,000,000 users, 1 server, 1e-6": SOLVE.format(users=1_000_000, servers=1, gap=1e-6),
}
MAIN = (  # wherever a version keeps its command line
    "import importlib.util as u; "
    "name = 'dtkd_opt.cli' if u.find_spec('dtkd_opt.cli') else 'dtkd_opt.commands.main'; "
    "import importlib; importlib.import_module(name).main()"
)


def run(figure: str, checkout: Path, folder: Path) -> float:
    """Seconds of one run with the package of a checkout."""
    env = os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": ""}
    if figure in COMMANDS:
        output = folder / "solution.json"
        words = [w.format(n50=N50, out=output, main=MAIN) for w in COMMANDS[figure]]
    else:
        words = ["-c", WORK[figure]]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    whole = time.perf_counter() - started
    return whole if figure in COMMANDS else float(done.stdout)


def pair(figure: str, other: Path, repeats: int) -> dict[str, Any]:
    """One line of paired.csv."""
    with tempfile.TemporaryDirectory() as folder:
        checkouts = (ROOT, other)
        for checkout in checkouts:
            run(figure, checkout, Path(folder))  # compiles the modules, fills the file cache
        turns = [
            [run(figure, checkout, Path(folder)) for checkout in checkouts] for _ in range(repeats)
        ]
    this, that = zip(*turns, strict=True)
    return {
        "figure": figure,
        "this_s": f"{statistics.median(this):.4g}",
        "other_s": f"{statistics.median(that):.4g}",
        "ratio": f"{statistics.median(a / b for a, b in turns):.3f}",
        "repeats": repeats,
    }


def main() -> None:
    figures = {name.partition(" users")[0]: name for name in (*COMMANDS, *WORK)}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("other", type=Path, help="a checkout of another commit")
    parser.add_argument("--repeats", type=int, default=9, help="turns of each figure")
    parser.add_argument("--only", nargs="+", choices=figures, help="these figures alone")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    other = given.other.resolve()
    head = provenance(("numpy", "scipy", "clarabel", "highspy"))
    named = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=other, capture_output=True, text=True
    )
    head.append(f"other: {named.stdout.strip() or other.name}")
    rows = []
    for key in given.only or figures:
        rows.append(pair(figures[key], other, given.repeats))
        print(rows[-1], flush=True)
    write_csv(given.output, COLUMNS, rows, head)


if __name__ == "__main__":
    main()
