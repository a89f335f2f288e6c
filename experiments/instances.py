"""Write the shipped instances and prove their best values: instances/*.json and best.csv.

    python experiments/instances.py            # instances, best.csv, the table in the README
    python experiments/instances.py --no-write # only re-prove; exit code 1 if a value differs

Every best value is an incumbent recomputed from its file; the bound is the one `exact` proved.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import dtkd_opt as do
from dtkd_opt.records.files import write_atomic

sys.path.insert(0, str(Path(__file__).parent))  # the tests load this file by runpy, which does not
from common import BEST, INSTANCES, best_values, write_csv

COLUMNS = (
    "instance", "users", "servers", "options", "best_value", "bound", "gap",
    "at_server", "students", "greedy_above", "proof",
)  # fmt: skip
ALL = {
    "n5": (5, 1, {}),
    "n10": (10, 1, {}),
    "n20": (20, 1, {}),
    "n50": (50, 1, {}),
    "n200": (200, 1, {}),
    "n20-deadlines": (20, 1, {"deadlines": 0.7}),
    "n50-deadlines": (50, 1, {"deadlines": 0.5}),
    "n20-energy": (20, 1, {"energy_budgets": 0.7}),
    "n50-energy": (50, 1, {"energy_budgets": 0.5}),
    "n10-s3": (10, 3, {}),
    "n40-s3": (40, 3, {}),
    "n40-s3-limits": (
        40,
        3,
        {"deadlines": 0.5, "energy_budgets": 0.5, "accuracy_floors": 0.3},
    ),
}


def write_instances() -> None:
    """Write every shipped instance."""
    for name, (users, servers, limits) in ALL.items():
        params = do.GeneratorSettings(**limits)
        instance = do.generate_instance(users, servers, seed=0, settings=params, name=name)
        do.write_instance(instance, INSTANCES / f"{name}.json")


def prove(name: str) -> dict[str, Any]:
    """Solve one instance to a gap of 1e-8 and describe the optimum."""
    instance = do.read_instance(INSTANCES / f"{name}.json")
    result = do.solve(instance, "exact", gap=1e-8)
    faults = do.check(instance, result.solution)
    if faults or result.status != "optimal":
        raise SystemExit(f"{name}: {result.status}; {'; '.join(faults)}")
    greedy = do.solve(instance, "greedy")
    last = result.history[-1].phase
    return {
        "instance": name,
        "users": len(instance.users),
        "servers": len(instance.servers),
        "options": len(do.build_options(instance)),
        "best_value": f"{result.objective:.9f}",
        "bound": f"{result.bound:.9f}",
        "gap": f"{result.gap:.1e}",
        "at_server": sum(u.place == "server" for u in result.solution.users),
        "students": len({u.model for u in result.solution.users}),
        "greedy_above": f"{greedy.objective / result.objective - 1:.2%}",
        "proof": "prices" if last in ("prices", "rounding") else f"prices, then {last}",
    }


def write_best_values(rows: list[dict[str, Any]]) -> None:
    """best.csv, and the same rows as a table in the README between its two markers."""
    write_csv(BEST, COLUMNS, rows)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(row[c]) for c in COLUMNS) + " |" for row in rows]
    readme = INSTANCES / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split("<!-- best values -->\n", 1)
    after = rest.split("<!-- end -->", 1)[1]
    marked = "<!-- best values -->\n" + "\n".join(lines) + "\n<!-- end -->"
    write_atomic(readme, (before + marked + after).encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-write", action="store_true", help="only re-prove the values")
    options = parser.parse_args()
    if options.no_write:
        best_known = {name: values["best_value"] for name, values in best_values().items()}
        found = {name: float(prove(name)["best_value"]) for name in ALL}
        wrong = [n for n in ALL if abs(found[n] - best_known[n]) > 1e-6 * best_known[n]]
        print("differs: " + ", ".join(wrong) if wrong else f"all {len(ALL)} values proven again")
        return bool(wrong)
    write_instances()
    rows = []
    for name in ALL:
        rows.append(prove(name))
        print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    write_best_values(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
