"""Tables of a solution, and the live line of long work."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table
from rich.text import Text

from dtkd_opt.problem.physics import Array
from dtkd_opt.records.instance import POOLS, Instance
from dtkd_opt.records.solution import Solution

_STATUS = {
    "optimal": "optimal (gap proven)",
    "feasible": "feasible (gap as shown)",
    "infeasible": "infeasible",
    "unknown": "no plan found",
}
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


class _Console(Console):
    """Shows names as they are and leaves a broken pipe to the caller.

    rich would take [bold] and :smile: in names for markup, and end the program at a broken pipe.
    """

    def __init__(self, file: StringIO | None = None) -> None:
        super().__init__(file=file, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_tables(tables: Iterable[Table]) -> None:
    """On standard output; raises BrokenPipeError where nobody reads it."""
    console = _Console()
    for table in tables:
        console.print(table)


def as_text(tables: Iterable[Table]) -> str:
    """The tables as :func:`print_tables` prints them, without colours."""
    text = StringIO()
    console = _Console(text)
    for table in tables:
        console.print(table)
    return text.getvalue().rstrip("\n")


def summary(instance: Instance, solution: Solution, prices: Array | None = None) -> list[Table]:
    """The tables of a solution: figures, and with a plan its students by place and its pools.

    Parameters
    ----------
    instance, solution
        The problem and its solution.
    prices
        (3, S) prices of the pools [s per Hz or cycle/s], where they are known.
    """
    tables = [_figures(instance, solution)]
    if len(solution.users):
        tables += [_students(instance, solution), _pools(instance, solution, prices)]
    return tables


def _figures(instance: Instance, solution: Solution) -> Table:
    table = _table(f"{instance.name}: {_STATUS[solution.status]}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    size = f"{len(instance.users)}, {len(instance.servers)}"
    rows: list[tuple[str, str]] = [("users, servers", size)]
    if solution.incumbent_objective is not None:
        rows.append(("objective J (s)", f"{solution.incumbent_objective:.6f}"))
    if solution.objective_bound is not None:
        rows.append(("proven lower bound (s)", f"{solution.objective_bound:.6f}"))
    if solution.gap is not None:
        rows.append(("relative gap", f"{solution.gap:.1e}"))
    if solution.mean_accuracy is not None and solution.total_delay_s is not None:
        rows.append(("mean accuracy", f"{solution.mean_accuracy:.2%}"))
        rows.append(("total delay (s)", f"{solution.total_delay_s:.2f}"))
        rows.append(("mean delay (s)", f"{solution.total_delay_s / len(solution.users):.3f}"))
    rows.append(("method", solution.method))
    rows.append(("stopped because", solution.termination.replace("_", " ")))
    rows.append(("time (s)", f"{solution.runtime_s:.2f}"))
    for row in rows:
        table.add_row(*row)
    return table


def _students(instance: Instance, solution: Solution) -> Table:
    """Users, mean delay and accuracy for each student at each place."""
    table = _table("students")
    for heading in ("student", "on the device", "at the server", "mean delay (s)", "mean accuracy"):
        table.add_column(heading, justify="left" if heading == "student" else "right")
    users = solution.users
    at_server = users.place == "server"
    for model in instance.models:
        chosen = users.model == model.name
        if not chosen.any():
            continue
        table.add_row(
            model.name,
            str((chosen & ~at_server).sum()),
            str((chosen & at_server).sum()),
            f"{users.delay_s[chosen].mean():.3f}",
            f"{users.accuracy[chosen].mean():.2%}",
        )
    return table


def _pools(instance: Instance, solution: Solution, prices: Array | None) -> Table:
    """Each server's pools: size, users with a share, and what 1 % of it is worth: the seconds of
    total delay that this much more to share would save, by the pool's price."""
    users = solution.users
    table = _table("pools")
    for heading in ("server", "pool", "size", "users", "1 % is worth (s)"):
        table.add_column(heading, justify="left" if heading in ("server", "pool") else "right")
    server_hz = np.where(users.place == "server", users.cpu_hz, 0.0)
    shares = (users.uplink_hz, users.downlink_hz, server_hz)
    for s, server in enumerate(instance.servers):
        sizes = (server.uplink_hz, server.downlink_hz, server.cpu_hz)
        for p, (pool, size, share) in enumerate(zip(POOLS, sizes, shares, strict=True)):
            count = int(((users.server == server.name) & (share > 0)).sum())
            saved = 0.0 if prices is None else float(prices[p, s]) * size / 100
            price = f"{saved:.4f}" if saved > 0 else "-"
            unit = "Hz" if p < 2 else "cycles/s"
            table.add_row(server.name, pool, _with_prefix(size, unit), str(count), price)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", header_style="bold")


def _with_prefix(value: float, unit: str) -> str:
    factor, prefix = next(((f, p) for f, p in _UNITS if value >= f), _UNITS[-1])
    return f"{value / factor:.4g} {prefix}{unit}"


class LiveLine:
    """One live line on a terminal's standard error; silent when it is not a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._spinner: Spinner | None = None

    def __enter__(self) -> LiveLine:
        if self._console.is_terminal:
            self._spinner = self._console.status("start")
            self._spinner.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def show(self, line: object) -> None:
        """Replace the line by another one, such as a method's progress."""
        if self._spinner is not None:
            self._spinner.update(Text(str(line)))
