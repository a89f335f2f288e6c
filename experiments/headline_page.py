"""The page of headline.py: where the claim holds, and where not, in sentences and a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd
from headline_summary import DELAY_TOL_S, JOINT, MATCHED, Row, most_accurate_within

import dtkd_opt as do


def page_lines(
    found: list[Row], runs: pd.DataFrame, front: do.ParetoFront,
    fedavg_plans: Sequence[do.FedAvgPlan], header: Iterable[str],
) -> Iterator[str]:  # fmt: skip
    """The page: what was measured, where the claim holds, and the table."""
    name, count, weight = front.instance.name, runs.seed.nunique(), front.instance.seconds_per_error
    yield from (f"# {name} carried out, {count} seeds", "")
    yield "The claim: a joint optimum has more accuracy at no more delay, or less delay at no less"
    yield f"accuracy. `{JOINT}` is the joint optimum at ρ = {weight:g} s; `{MATCHED}X` is that of"
    yield "another ρ, the most accurate plan of a sweep that needs no more delay than X. Means over"
    yield "seeds, in brackets their 95 % intervals (Student's t). Accuracy is on the whole test"
    yield "split, whatever a user's own classes; J is of what was reached. “Ahead” is seed by seed,"
    yield f"points of accuracy and seconds of delay: of `{MATCHED}X` how far it is ahead of X, else"
    yield f"how far `{JOINT}` is ahead of the method."
    for partition in dict.fromkeys(row["partition"] for row in found):
        mine = [row for row in found if row["partition"] == partition]
        yield from ("", f"## {partition}", "", *claims(mine, front), "", *table_lines(mine))
    yield from ("", "## Notes", "", *remarks(fedavg_plans, found))
    yield from ("", *(f"- {line}" for line in header), "")


def remarks(fedavg_plans: Sequence[do.FedAvgPlan], found: Sequence[Row]) -> Iterator[str]:
    """Notes on the baselines and the predictions."""
    best = fedavg_plans[0]
    yield f"- FedAvg trains one student for all on true labels, {len(best.epochs)} rounds of"
    yield f"  {best.epochs[0]} local epochs. Of all students {best.student} has the least J by the"
    yield "  accuracy table; its predicted accuracy is that of hard labels with the samples of all"
    yield "  users, as far as the table goes. A round waits for its slowest user; the uplink is"
    yield "  shared so that all weights of a round are there at once, and averages go to all alike."
    yield "  `tests/federation/test_fedavg.py` compares the rounds with those of Flower's `FedAvg`."
    if len({row["partition"] for row in found}) > 1:
        yield "- Predictions are of the same accuracy table, made with IID samples, in all parts."
    yield "- Students of the accuracy table were scored on the same test split. Plans are chosen by"
    yield "  the table, alike for all methods; learning rates and batch sizes by other samples."


def table_lines(rows: Sequence[Row]) -> Iterator[str]:
    yield "| method | accuracy | predicted | total delay (s) | J (s) | ahead: points | s | claim |"
    yield "|---|--:|--:|--:|--:|--:|--:|---|"
    for row in rows:
        spread = row["delay_high"] - row["delay_low"] > DELAY_TOL_S
        delays = f" [{row['delay_low']:.2f}, {row['delay_high']:.2f}]" if spread else ""
        yield (
            f"| {row['method']} | {percent_text(row, 'mean_accuracy', 'accuracy')} "
            f"| {row['predicted_accuracy']:.2%} | {row['total_delay_s']:.2f}{delays} "
            f"| {row['objective']:.3f} | {points_text(row)} | {row['ahead_delay_s']:+.2f} "
            f"| {row['verdict']} |"
        )


def percent_text(row: Row, mean: str, ends: str) -> str:
    return f"{row[mean]:.2%} [{100 * row[f'{ends}_low']:.2f}, {100 * row[f'{ends}_high']:.2f}]"


def points_text(row: Row) -> str:
    low, high = (100 * row[f"ahead_accuracy_{end}"] for end in ("low", "high"))
    return f"{100 * row['ahead_accuracy']:+.2f} [{low:+.2f}, {high:+.2f}]"


def claims(rows: Sequence[Row], front: do.ParetoFront) -> Iterator[str]:
    """The claim against each baseline, first at its own delay, then for one ρ."""
    by_method = {row["method"]: row for row in rows}
    matched = [row for row in rows if row["method"].startswith(MATCHED)]
    judged = [row for row in rows if row["verdict"] and row not in matched]
    yield "With no more delay than theirs, a joint optimum has more accuracy, or as much in less"
    yield f"time, than {method_names(matched)}."
    for row in matched:
        if row["verdict"] != "holds":
            yield f"- Exception: {row['method'].removeprefix(MATCHED)}: {compare_matched(row)}"
    yield ""
    yield "The joint optimum at the instance's own ρ is ahead, and worse in neither figure, of"
    yield f"{method_names(judged)}."
    for row in judged:
        if row["verdict"] == "equal":
            yield f"- {row['method']} finds a plan of the same figures."
        if row["verdict"] in ("beaten", "trade-off"):
            yield exception(
                row, by_method.get(f"{MATCHED}{row['method']}"), by_method[JOINT], front
            )


def method_names(rows: Sequence[Row]) -> str:
    """The methods against which the claim holds, with what is not certain."""
    names = [
        f"{row['method'].removeprefix(MATCHED)}{uncertain(row)}"
        for row in rows
        if row["verdict"] == "holds"
    ]
    return ", ".join(names) or "none"


def exception(row: Row, matched: Row | None, joint: Row, front: do.ParetoFront) -> str:
    """A method against which the claim does not hold, and a joint optimum at its delay."""
    accuracy = difference_text(-100 * row["ahead_accuracy"], "points")
    delay = difference_text(row["ahead_delay_s"], "s")
    objective = difference_text(row["objective"] - joint["objective"], "s")
    kind = "Beaten by" if row["verdict"] == "beaten" else "Exception:"
    text = (
        f"- {kind} {row['method']}: it has {accuracy} accuracy and {delay} total delay"
        f"{uncertain(row)}, and {objective} J."
    )
    if matched is not None:
        return f"{text} {compare_matched(matched)}"
    found = most_accurate_within(front, row["total_delay_s"])
    if found is None:
        return f"{text} No joint optimum of the sweep needs as little delay."
    return (
        f"{text} The joint optimum that needs no more delay ({found.total_delay_s:.2f} s) was not "
        f"carried out; {found.mean_accuracy:.2%} is predicted of it."
    )


def difference_text(difference: float, unit: str) -> str:
    """How much more or less, to two digits."""
    size = f"{abs(difference):.2f}"
    return "as much" if size == "0.00" else f"{size} {unit} {'more' if difference > 0 else 'less'}"


def compare_matched(matched: Row) -> str:
    """How a joint optimum compares that needs no more delay."""
    low, high = (100 * matched[f"ahead_accuracy_{end}"] for end in ("low", "high"))
    ahead = difference_text(100 * matched["ahead_accuracy"], "points")
    return (
        f"The joint optimum that needs no more delay ({matched['total_delay_s']:.2f} s) has "
        f"{ahead} accuracy [{low:+.2f}, {high:+.2f}]."
    )


def uncertain(row: Row) -> str:
    """The figures whose interval of the difference contains 0."""
    open_ones = [
        what
        for what in ("accuracy", "delay")
        if row[f"ahead_{what}_low"] < 0 < row[f"ahead_{what}_high"]
    ]
    return f" ({' and '.join(open_ones)} not certain)" if open_ones else ""
