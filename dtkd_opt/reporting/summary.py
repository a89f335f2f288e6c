"""Tables of a solution, and the live line of long work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from io import StringIO
from typing import Any, TextIO, cast

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dtkd_opt.errors import printable, printable_lines
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.instance import POOLS, Instance
from dtkd_opt.records.leftovers import undone_at_once
from dtkd_opt.records.solution import Solution

_STATUS = {
    "optimal": "optimal (gap proven)",
    "feasible": "feasible (gap as shown)",
    "infeasible": "infeasible",
    "unknown": "no plan found",
}
_MIN_WIDTH = 8  # of a column of text; longer texts are folded on a narrow terminal
_MIN_TERMINAL = 20  # columns of a terminal
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


class _Console(Console):
    """Shows names as they are and leaves a broken pipe to the caller.

    rich would take [bold] and :smile: in names for markup, and end the program at a broken pipe.
    """

    def __init__(self, file: StringIO | None = None) -> None:
        super().__init__(file=file, markup=False, emoji=False)
        self.width = max(self.width, _MIN_TERMINAL)  # of 0 columns rich would show nothing

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_tables(tables: Iterable[Table]) -> None:
    """On standard output; raises BrokenPipeError where nobody reads it."""
    _Console().print(*tables, crop=False)


def as_text(tables: Iterable[Table]) -> str:
    """The tables as :func:`print_tables` prints them, without colours."""
    text = StringIO()
    _Console(text).print(*tables, crop=False)
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
    rows = [("users, servers", f"{len(instance.users)}, {len(instance.servers)}")]
    if solution.incumbent_objective is not None:
        rows.append(("objective J (s)", f"{solution.incumbent_objective:.6f}"))
    if solution.objective_bound is not None:
        rows.append(("proven lower bound (s)", f"{solution.objective_bound:.6f}"))
    if solution.gap is not None:
        rows.append(("relative gap", f"{solution.gap:.1e}"))
    if solution.mean_accuracy is not None and solution.total_delay_s is not None:
        rows += [
            ("mean accuracy", f"{solution.mean_accuracy:.2%}"),
            ("total delay (s)", f"{solution.total_delay_s:.2f}"),
            ("mean delay (s)", f"{solution.total_delay_s / len(solution.users):.3f}"),
        ]
    rows += [
        ("method", solution.method),
        ("stopped because", solution.termination.replace("_", " ")),
        ("time (s)", f"{solution.runtime_s:.2f}"),
    ]
    title = f"{instance.name}: {_STATUS[solution.status]}"
    return make_table(title, ["figure"], ["value"], rows)


def _students(instance: Instance, solution: Solution) -> Table:
    """Users, mean delay and accuracy for each student at each place."""
    users = solution.users
    at_server = users.place == "server"
    chosen = {model.name: users.model == model.name for model in instance.models}
    rows = [
        (
            name,
            str((of_model & ~at_server).sum()),
            str((of_model & at_server).sum()),
            f"{users.delay_s[of_model].mean():.3f}",
            f"{users.accuracy[of_model].mean():.2%}",
        )
        for name, of_model in chosen.items()
        if of_model.any()
    ]
    headings = ["on the device", "at the server", "mean delay (s)", "mean accuracy"]
    return make_table("students", ["student"], headings, rows)


def _pools(instance: Instance, solution: Solution, prices: Array | None) -> Table:
    """Each server's pools: size, users with a share, and the total delay [s] that 1 % more of the
    pool would save, by its price."""
    users, rows = solution.users, []
    server_hz = np.where(users.place == "server", users.cpu_hz, 0.0)
    shares = (users.uplink_hz, users.downlink_hz, server_hz)
    for s, server in enumerate(instance.servers):
        sizes = (server.uplink_hz, server.downlink_hz, server.cpu_hz)
        for p, (pool, size, share) in enumerate(zip(POOLS, sizes, shares, strict=True)):
            count = int(((users.server == server.name) & (share > 0)).sum())
            saved = 0.0 if prices is None else float(prices[p, s]) * size / 100
            price = f"{saved:.4f}" if saved > 0 else "-"
            unit = "Hz" if p < 2 else "cycles/s"
            rows.append((server.name, pool, _with_prefix(size, unit), str(count), price))
    return make_table("pools", ["server", "pool"], ["size", "users", "1 % is worth (s)"], rows)


def make_table(
    title: str,
    left: Sequence[str],
    right: Sequence[str],
    rows: Iterable[Sequence[str]],
    **style: Any,
) -> Table:
    """A table in the common style: headings of columns of text and of numbers, and its rows.

    On a narrow terminal texts are folded; numbers never are, the table is wider than it then. What
    a terminal would obey, in names, is escaped. `style` is given to rich's Table.
    """
    style = {"title_justify": "left", "header_style": "bold"} | style
    rich_table = Table(title=printable(title), **style)
    cells = [[printable(cell) for cell in row] for row in rows]
    for number, heading in enumerate((*left, *right)):
        width = max((cell_len(row[number]) for row in cells), default=0)
        is_text = number < len(left)
        rich_table.add_column(
            printable_lines(heading),
            justify="left" if is_text else "right",
            overflow="fold",
            min_width=max(min(width, _MIN_WIDTH) if is_text else width, *_widths(heading)),
        )
    for row in cells:
        rich_table.add_row(*row)
    return rich_table


def _widths(heading: str) -> list[int]:
    """Those of its words, between which it may be broken."""
    return [0, *map(cell_len, heading.split())]


def _with_prefix(value: float, unit: str) -> str:
    factor, prefix = next(((f, p) for f, p in _UNITS if value >= f), _UNITS[-1])
    return f"{value / factor:.4g} {prefix}{unit}"


class _Undisturbed:
    """A stream on which only looks depend: where the terminal is gone, no work ends for that."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def live_console() -> Iterator[Console]:
    """Where live lines and bars are drawn; its cursor comes back however the process ends."""
    console = Console(stderr=True)
    console.file = cast(TextIO, _Undisturbed(console.file))
    with undone_at_once(partial(console.show_cursor, True)):
        yield console


@contextmanager
def live_line() -> Iterator[Callable[[object], None]]:
    """One live line on a terminal's standard error, and what replaces it; else silent."""
    with live_console() as console:
        if not console.is_terminal:
            yield lambda line: None
            return
        with console.status("start") as spinner:
            yield lambda line: spinner.update(Text(printable(str(line))))
