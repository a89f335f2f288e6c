"""Words and tables for people: the summary of a solution and the live line of a running method."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table
from rich.text import Text

from dtkd_opt.methods.search import Progress
from dtkd_opt.methods.solve import Result
from dtkd_opt.records.instance import POOLS, Instance

_STATUS = {
    "optimal": "optimal (gap proven)",
    "feasible": "feasible (gap as shown)",
    "infeasible": "infeasible",
    "unknown": "no plan found",
}
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


class _Console(Console):
    """Shows names as they are and leaves a broken pipe to the caller.

    rich would take [bold] and :smile: in names for its own, and end the program.
    """

    def __init__(self) -> None:
        super().__init__(markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_summary(result: Result) -> None:
    """What `solve` prints: tables of the figures, the students by place, the pools."""
    print_tables(summary(result))


def print_tables(tables: Iterable[Table]) -> None:
    """On standard output; raises BrokenPipeError where nobody reads it."""
    console = _Console()
    for table in tables:
        console.print(table)


def summary(result: Result) -> list[Table]:
    """The tables of a result: figures, and with a plan its students by place and its pools."""
    tables = [_figures(result)]
    if result.incumbent is not None:
        tables += [_students(result), _pools(result)]
    return tables


def _figures(result: Result) -> Table:
    solution, instance = result.solution, result.instance
    table = _table(f"{instance.name}: {_STATUS[solution.status]}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    rows: list[tuple[str, str]] = [("users, servers", _size(instance))]
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


def _students(result: Result) -> Table:
    """Users, mean delay and accuracy for each student at each place."""
    table = _table("students")
    for heading in ("student", "on the device", "at the server", "mean delay (s)", "mean accuracy"):
        table.add_column(heading, justify="left" if heading == "student" else "right")
    users = result.solution.users
    at_server = users.place == "server"
    for model in result.instance.models:
        mine = users.model == model.name
        if not mine.any():
            continue
        table.add_row(
            model.name,
            str((mine & ~at_server).sum()),
            str((mine & at_server).sum()),
            f"{users.delay_s[mine].mean():.3f}",
            f"{users.accuracy[mine].mean():.2%}",
        )
    return table


def _pools(result: Result) -> Table:
    """Each server's pools: size, users with a share, and what 1 % of it is worth: the seconds of
    total delay that this much more to share would save, by the pool's price."""
    assert result.incumbent is not None
    plan, prices = result.incumbent.plan, result.incumbent.prices
    table = _table("pools")
    for heading in ("server", "pool", "size", "users", "1 % is worth (s)"):
        table.add_column(heading, justify="left" if heading in ("server", "pool") else "right")
    shares = (plan.uplink_hz, plan.downlink_hz, plan.cpu_hz)
    for s, server in enumerate(result.instance.servers):
        sizes = (server.uplink_hz, server.downlink_hz, server.cpu_hz)
        for p, (pool, size, share) in enumerate(zip(POOLS, sizes, shares, strict=True)):
            users = int(((plan.server == s) & (share > 0)).sum())
            saved = float(prices[p, s]) * size / 100
            price = f"{saved:.4f}" if saved > 0 else "-"
            unit = "Hz" if p < 2 else "cycles/s"
            table.add_row(server.name, pool, _with_prefix(size, unit), str(users), price)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", header_style="bold")


def _size(instance: Instance) -> str:
    return f"{len(instance.users)}, {len(instance.servers)}"


def _with_prefix(value: float, unit: str) -> str:
    factor, prefix = next(((f, p) for f, p in _UNITS if value >= f), _UNITS[-1])
    return f"{value / factor:.4g} {prefix}{unit}"


class LiveLine:
    """One live line on a terminal's standard error: phase, bound, incumbent, gap, time.

    Silent when standard error is not a terminal.
    """

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

    def __call__(self, progress: Progress) -> None:
        self.show(line(progress))

    def show(self, text: str) -> None:
        """Replace the line by another text."""
        if self._spinner is not None:
            self._spinner.update(Text(text))


def line(progress: Progress) -> str:
    """A progress record as one line of text."""
    bound = f"{progress.bound:.6f}" if np.isfinite(progress.bound) else "-"
    best = f"{progress.incumbent:.6f}" if np.isfinite(progress.incumbent) else "-"
    gap = f"{progress.gap:.1e}" if np.isfinite(progress.gap) else "-"
    return (
        f"{progress.phase}: bound {bound}, incumbent {best}, gap {gap}, {progress.elapsed_s:.1f} s"
    )
