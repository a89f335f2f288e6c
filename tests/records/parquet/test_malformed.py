"""Every malformed table gets exactly the line that a JSON file would, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.records.instance import Instance
from tests.support.tabled import INSTANCE, message, pa, pq, with_columns


@pytest.mark.parametrize(
    "name",
    ["/etc/n.parquet", "../n.parquet", "a/n.parquet", "n.csv", "", ".parquet",
     "a\\n.parquet", "c:n.parquet", "a\nb.parquet", "n" * 300 + ".parquet"],
)  # fmt: skip
def test_names_that_are_no_plain_file(name: str, head: Path) -> None:
    head.write_text(json.dumps({**json.loads(head.read_text()), "users": name}))
    text = message(do.read_instance, head)
    line = "users: must be a list in [ ] or the name of a .parquet file in the same folder, got"
    assert text.startswith(f"n.json: {line}")
    assert "\n" not in text
    assert len(text) < 250


def test_missing_and_damaged_tables(head: Path) -> None:
    user_table = head.with_suffix(".parquet")
    data = user_table.read_bytes()
    damaged = "n.parquet: is not a Parquet file, or is damaged"
    middle = data[: len(data) // 3] + b"\0\1\2\3" + data[len(data) // 3 + 4 :]
    for wrong in (b"", b"PAR1", data[:-1], data[: len(data) // 2], b"{}" + data, middle):
        user_table.write_bytes(wrong)
        assert message(do.read_instance, head) == damaged
    user_table.unlink()
    assert message(do.read_instance, head) == "n.parquet: no such file"
    user_table.mkdir()
    assert message(do.read_instance, head) == "n.parquet: is a folder; name a file"


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_damage_is_told_or_does_not_matter(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    head = tmp_path_factory.getbasetemp() / "damaged.json"
    do.write_instance(INSTANCE, head, users="parquet")
    user_table = head.with_suffix(".parquet")
    damaged = bytearray(user_table.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    user_table.write_bytes(damaged)
    try:
        again: Instance | None = do.read_instance(head)
    except do.InputError as error:
        again, said = None, str(error)
    if again is None:
        assert all(line.startswith(f"{user_table}: ") for line in said.split("\n"))
    else:
        assert again == INSTANCE


ONES = [1.0] * 8
TWOS = [[1e-12, None]] * 7
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"samples": None}, "samples: is missing; must be given"),
    "unknown": ({"energy_J": ONES}, "energy_J: is not a known column; remove or rename it"),
    "odd name": ({"a\nb": ONES}, '["a\\nb"]: is not a known column; remove or rename it'),
    "text for number": (
        {"samples": ["5"] * 8},
        "samples: must be a column of whole numbers, got one of type string",
    ),
    "fraction for count": (
        {"samples": ONES},
        "samples: must be a column of whole numbers, got one of type double",
    ),
    "truth for number": (
        {"cpu_hz": [True] * 8}, "cpu_hz: must be a column of numbers, got one of type bool"
    ),
    "number for text": ({"name": ONES}, "name: must be a column of texts, got one of type double"),
    "number for list": (
        {"channel_gain": ONES},
        "channel_gain: must be a column of lists of numbers, got one of type double",
    ),
    "list of texts": (
        {"channel_gain": [["5"]] * 8},
        "channel_gain: must be a column of lists of numbers, got one of type list<element: string>",
    ),
    "too small": ({"samples": [*range(1, 8), 0]}, "users[7].samples: must be at least 1, got 0"),
    "too large": (
        {"samples": pa.array([1] * 7 + [2**64 - 1], pa.uint64())},
        "users[7].samples: must be at most 1e+15, got 18446744073709551615",
    ),
    "not a number": (
        {"cpu_hz": [*ONES[1:], float("nan")]}, "users[7].cpu_hz: must be a finite number, got NaN"
    ),
    "negative": (
        {"cpu_hz": [-5.0, *ONES[1:]]}, "users[0].cpu_hz: must be greater than 0, got -5.0"
    ),
    "infinite budget": (
        {"energy_j": [float("inf"), *ONES[1:]]},
        "users[0].energy_j: must be a finite number, got Infinity",
    ),
    "infinite floor": (
        {"min_accuracy": [float("-inf"), *ONES[1:]]},
        "users[0].min_accuracy: must be a finite number, got -Infinity",
    ),
    "tiny share": (
        {"fresh_fraction": [1e-13, *ONES[1:]]},
        "users[0].fresh_fraction: must be 0 or at least 1e-12, got 1e-13",
    ),
    "null number": ({"kappa": [None, *ONES[1:]]}, "users[0].kappa: must be a number, got null"),
    "null count": (
        {"samples": [None, *range(1, 8)]},
        "users[0].samples: must be a whole number written in digits only, got null",
    ),
    "null name": (
        {"name": [None, *"abcdefg"]}, "users[0].name: must be a text in quotes, got null"
    ),
    "empty name": ({"name": ["", *"abcdefg"]}, 'users[0].name: must not be empty, got ""'),
    "null list": (
        {"channel_gain": [None, *TWOS]}, "users[0].channel_gain: must be a list in [ ], got null"
    ),
    "zero gain": (
        {"channel_gain": [[1.0, 0.0], *TWOS]},
        "users[0].channel_gain[1]: must be greater than 0, got 0.0",
    ),
    "NaN gain": (
        {"channel_gain": [[1.0, float("nan")], *TWOS]},
        "users[0].channel_gain[1]: must be a finite number, got NaN",
    ),
    "NaN gain among lists of several lengths": (
        {"channel_gain": [[float("nan")], *TWOS]},
        "users[0].channel_gain[0]: must be a finite number, got NaN",
    ),
    "unreachable": (
        {"channel_gain": [[None, None], *TWOS]},
        "users[0].channel_gain: must reach at least one server, all are null",
    ),
    "short list": (
        {"channel_gain": [[1e-12], *TWOS]},
        "users[0].channel_gain: must have one entry per server (2), got 1",
    ),
    "empty list": (
        {"channel_gain": [[], *TWOS]},
        "users[0].channel_gain: must have one entry per server (2), got 0",
    ),
    "name twice": (
        {"name": [*"abcdefga"]}, 'users[7].name: must be unique, "a" is used before'
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_tables(name: str, head: Path) -> None:
    columns, line = WRONG[name]
    with_columns(head, **columns)
    assert message(do.read_instance, head) == f"n.parquet: {line}"


def test_lines_are_those_of_json(head: Path, tmp_path: Path) -> None:
    """The same wrong entries, given in both forms."""
    wrong = {"kappa": [None, -1.0, 1e31, *ONES[3:]], "deadline_s": [0.0, *ONES[:5], -7.5, None]}
    with_columns(head, **wrong, min_accuracy=[1.5, *ONES[1:]])
    data = json.loads(INSTANCE.to_bytes())
    for n, row in enumerate(data["users"]):
        row |= {key: values[n] for key, values in wrong.items()}
        row["min_accuracy"] = 1.5 if n == 0 else 1.0
    (tmp_path / "inline.json").write_text(json.dumps(data))
    expected = message(do.read_instance, tmp_path / "inline.json")
    assert expected.count("\n") == 5
    assert message(do.read_instance, head) == expected.replace("inline.json", "n.parquet")


def test_floors_beyond_any_model(head: Path) -> None:
    with_columns(head, min_accuracy=ONES)
    text = message(do.read_instance, head)
    assert len(text.split("\n")) == 8
    assert "n.parquet: users[3].min_accuracy: must be at most 0.8" in text


def test_faults_of_the_head_name_the_head(head: Path) -> None:
    data = json.loads(head.read_text())
    head.write_text(json.dumps({**data, "seconds_per_error": -1}))
    assert message(do.read_instance, head).startswith("n.json: seconds_per_error: must be at least")


def test_a_table_without_rows(head: Path) -> None:
    user_table = head.with_suffix(".parquet")
    pq.write_table(pq.read_table(user_table).slice(0, 0), user_table)
    assert "users: must have at least one entry" in message(do.read_instance, head)


def test_a_column_twice(head: Path) -> None:
    user_table = pq.read_table(head.with_suffix(".parquet"))
    names = [*user_table.column_names, "kappa"]
    twice = pa.Table.from_arrays([*user_table.columns, user_table["kappa"]], names=names)
    pq.write_table(twice, head.with_suffix(".parquet"))
    assert message(do.read_instance, head) == "n.parquet: kappa: is given more than once; keep one"


def test_wrong_table_of_a_solution(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    do.write_solution(do.solve(INSTANCE, "greedy").solution, path, users="parquet")
    with_columns(path, place=["cloud"] + ["device"] * 7, delay_s=[1.0, float("inf"), *ONES[2:]])
    assert message(do.read_solution, path).split("\n") == [
        's.parquet: users[0].place: must be "device" or "server", got "cloud"',
        "s.parquet: users[1].delay_s: must be a finite number, got Infinity",
    ]
