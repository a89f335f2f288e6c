"""`calibrate` where something is amiss: names of files, lost students, options that do nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.distill.build_table import _cells
from dtkd_opt.distill.calibrate import Calibrated
from dtkd_opt.distill.results import summary
from dtkd_opt.distill.select_hyperparameters import without_setting
from dtkd_opt.records.calibration import AccuracyCurve
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from tests.records.test_calibration import some_table
from tests.support.paths import INSTANCES

PROGRAM = [sys.executable, "-m", "dtkd_opt"]
CALIBRATION = INSTANCES.parent / "experiments" / "calibration"
FAST = {"epochs": 1, "learning_rates": (1e-2,), "batch_sizes": (64,), "choice_seeds": 1}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    given = [*PROGRAM, *words]
    return subprocess.run(given, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


def quick(cache: Path, **more: Any) -> Calibrated:
    """Trainings of one epoch."""
    params = do.CalibrateParams(**FAST | more.pop("params", {}))
    given = {"students": ["logreg"], "sizes": [100], "seeds": 2, "jobs": 2} | more
    return do.calibrate(**given, params=params, cache=cache)


def test_click_before_8_4_has_no_generic_types() -> None:
    code = (
        "import click; click.ParamType.__class_getitem__ = None\n"
        "from dtkd_opt.commands.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "calibrate", "--help"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--sizes A,B,…" in done.stdout


@pytest.mark.parametrize("into", ["i.json", "./i.json", "link.json", "i.training.jsonl"])
def test_the_instance_is_not_overwritten_by_the_table(into: str, tmp_path: Path) -> None:
    shutil.copy(INSTANCES / "n5.json", tmp_path / "i.json")
    shutil.copy(INSTANCES / "n5.json", tmp_path / "i.training.jsonl")
    (tmp_path / "link.json").symlink_to(tmp_path / "i.json")
    before = (tmp_path / "i.json").read_bytes()
    done = run(tmp_path, "calibrate", "--output", "i.json", "--into", into)
    said = f"{Path(into)} would be overwritten; name another --output\n"
    assert (done.returncode, done.stderr) == (2, said)
    assert (tmp_path / "i.json").read_bytes() == before


@pytest.mark.parametrize("name", ["t.csv", "t.md", "t.svg"])
def test_the_table_has_a_name_of_its_own(name: str, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(do.UsageError, match="also the name of a file beside the table"):
        quick(cache, output=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_data_are_not_overwritten(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    images = np.random.default_rng(0).random((200, 8, 8))
    np.savez(path, images=images, labels=np.arange(200) % 2)
    before = path.read_bytes()
    with pytest.raises(do.UsageError, match=r"own\.npz would be overwritten"):
        quick(cache, data=f"npz:{path}", output=path)
    assert path.read_bytes() == before


def test_a_student_that_always_diverges_is_left_out(cache: Path, tmp_path: Path) -> None:
    """A huge rate is too much for convolutions, whose gradients grow, not for one linear layer."""
    found = quick(
        cache, students=["logreg", "cnn_m"], sizes=[120], params={"learning_rates": (1e25,)},
        output=tmp_path / "t.json",
    )  # fmt: skip
    assert found.table is not None
    assert [model.name for model in found.table.models] == ["logreg"]
    assert {row.asked.student for row in found.runs} == {"logreg"}
    assert [(row.asked.student, row.outcome) for row in found.lost] == [("cnn_m", "diverged")]
    page = (tmp_path / "t.md").read_text()
    assert f"- {without_setting(found.lost[0])}\n" in page
    assert found.lost[0].reason
    assert do.read_calibration(tmp_path / "t.json") == found.table


def test_no_student_left_tells_the_first_reason(cache: Path) -> None:
    with pytest.raises(do.InputError, match=r"logreg, hard labels: .* first reason: .*class \d"):
        quick(cache, sizes=[5])
    with pytest.raises(do.InputError, match=r"run of each kind; first reason: .* of the 25"):
        quick(cache, seeds=1, sizes=[25])  # seed 0 lacks a class, that to choose by does not


def test_lower_ends_in_use_are_never_higher_than_found() -> None:
    spread, sure = [0.6, 0.9, 0.9], [0.78, 0.79, 0.8]
    cells = _cells([100, 300, 1000], [sure, spread, sure])
    lows = [cell.lower95 for cell in cells]
    assert lows[0] > lows[1] < lows[2]
    assert [cell.used_lower95 for cell in cells] == [lows[1], lows[1], lows[2]]
    curve = AccuracyCurve(student="mlp16", labels="server", cells=cells, fit=None)
    table = some_table().model_copy(update={"curves": (curve,)})
    page = summary(table, [])
    assert f"100 samples: used {lows[1]:.6f} for the lower end {lows[0]:.6f}" in page


def test_shipped_tables_use_the_lower_ends_as_defined() -> None:
    for name in ("digits", "fashion-mnist"):
        table = do.read_calibration(CALIBRATION / f"{name}.json")
        for curve in table.curves:
            lows = [cell.lower95 for cell in curve.cells]
            expected = [min(lows[i:]) for i in range(len(lows))]
            assert [cell.used_lower95 for cell in curve.cells] == expected


def test_half_of_an_interval_that_is_cut_at_0() -> None:
    """t(0.975, 1) is 12.7062, and √2 of it times the spread of two values."""
    cells = _cells([100], [[0.1, 0.3]])
    assert cells[0].lower95 == 0.0
    curve = AccuracyCurve(student="mlp16", labels="server", cells=cells, fit=None)
    page = summary(some_table().model_copy(update={"curves": (curve,)}), [])
    assert "| mlp16 | server | 20.00 ± 127.06 |" in page


def test_a_nested_block_finishes_the_one_that_holds_the_handler() -> None:
    with KeepOnCtrlC() as outer:
        with KeepOnCtrlC() as inner:
            inner.finish()
            signal.raise_signal(signal.SIGINT)
        assert outer.pressed
    with KeepOnCtrlC(), KeepOnCtrlC(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("place", "code"),
    [("results.write_atomic", 0), ("results.check_output", 130), ("results.accuracy_lines", 130)],
)
def test_ctrl_c_spoils_no_writing_and_is_130_elsewhere(
    place: str, code: int, cache: Path, tmp_path: Path
) -> None:
    """Ctrl-C as the first file is written, before all work, and as the results are printed."""
    module, name = place.split(".")
    program = (
        f"import signal, dtkd_opt.distill.{module} as m\n"
        f"real, left = m.{name}, [1]\n"
        "def press(*given):\n"
        "    if left: left.pop(); signal.raise_signal(signal.SIGINT)\n"
        "    return real(*given)\n"
        f"m.{name} = press\n"
        "from dtkd_opt.commands.main import main; main()"
    )
    words = ["--students", "logreg", "--sizes", "100", "--seeds", "1", "--epochs", "1",
             "--output", "t.json", "--cache", str(cache), "--into", "i.json"]  # fmt: skip
    made = do.generate_instance(3)
    task = made.task.model_copy(update={"epochs": 1})
    do.write_instance(made.model_copy(update={"task": task}), tmp_path / "i.json")
    done = subprocess.run(
        [sys.executable, "-c", program, "calibrate", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    told = "interrupted; finished trainings are kept, --resume goes on\n"
    assert done.stderr == ("" if code == 0 else told)
    assert (tmp_path / "t.json").exists() == (name != "check_output")


def test_python_takes_numbers_of_numpy_and_settings_as_a_dict(cache: Path) -> None:
    given = {"students": ["logreg"], "jobs": 2, "cache": cache}
    found = do.calibrate(seeds=np.int64(2), sizes=np.array([100, 200]), params=FAST, **given)
    assert found.table == quick(cache, sizes=[100, 200]).table


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"sizes": [100.0]}, r"sizes must be whole numbers, got \[100.0\]"),
        ({"sizes": 100}, "sizes must be whole numbers, got 100"),
        ({"seeds": 2.5}, "seeds must be whole numbers"),
        ({"students": "logreg"}, "students must be a list of names, got 'logreg'"),
        ({"params": {"epochs": 0}}, "epochs: must be at least 1"),
        ({"params": {"rates": 1}}, "rates: is not a known key"),
        ({"params": 3}, "params must be CalibrateParams or a dict"),
        ({"data_dir": "."}, "a data folder is for fashion-mnist, not for digits"),
    ],
)
def test_python_arguments_of_other_kinds_are_wrong_use(
    given: dict[str, Any], part: str, tmp_path: Path
) -> None:
    with pytest.raises(do.UsageError, match=part):
        do.calibrate(**given, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "values", "twice"),
    [("learning_rates", (0.01, 0.1, 1e-2), "0.01"), ("batch_sizes", (16, 32, 16), "16")],
)
def test_a_setting_given_twice_is_refused(
    name: str, values: tuple[float, ...], twice: str, cache: Path, tmp_path: Path
) -> None:
    said = f"{name}: must be given once each, got {twice} 2 times"
    params = FAST | {name: values}
    with pytest.raises(do.UsageError, match=said):
        do.calibrate(students=["logreg"], sizes=[100], seeds=1, params=params, cache=cache)
    words = ["--students", "logreg", "--sizes", "100", "--seeds", "1", "--epochs", "1",
             "--output", "t.json", "--cache", str(cache)]  # fmt: skip
    words += [f"--{name.replace('_', '-')}", ",".join(map(str, values))]
    done = run(tmp_path, "calibrate", *words)
    assert (done.returncode, done.stderr) == (2, f"{said}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "said"), [("foo", "is no address"), ("127.0.0.1:1", "no scheduler answers")]
)
def test_without_a_cluster_nothing_is_written(
    address: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtkd_opt.runtime.workers._PATIENCE_S", 1.0)
    with pytest.raises(do.InputError, match=f"--dask {address}: {said}"):
        quick(tmp_path / "cache", dask=address, output=tmp_path / "new" / "t.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["fitted", "residuals"])
def test_a_fit_has_one_value_a_cell(name: str, tmp_path: Path) -> None:
    table = json.loads(some_table().to_bytes())
    table["curves"][1]["fit"][name].pop()
    (tmp_path / "t.json").write_text(json.dumps(table))
    said = rf"t\.json: curves\[1\]\.fit\.{name}: must have 4 values, one a cell, got 3"
    with pytest.raises(do.InputError, match=said):
        do.read_calibration(tmp_path / "t.json")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("calibrate --output a.json --accuracy fitted", "give --into INSTANCE"),
        ("calibrate --output a.json --data-dir .", "is for fashion-mnist, not for digits"),
        ("calibrate --models t.json --into i.json --seeds 3", "--seeds does nothing with --models"),
        ("calibrate --models t.json --into i.json --batch-sizes 9", "--batch-sizes does nothing"),
        ("calibrate --models t.json --into i.json --resume", "--resume does nothing"),
        ("calibrate --output a.json --into i.json --seeds 1 --accuracy lower95", "of 2 or more"),
        (
            "calibrate --output a.json --into i.json --sizes 100 --accuracy fitted",
            "takes 4 --sizes",
        ),
    ],
)
def test_options_that_would_do_nothing_are_refused(words: str, said: str, tmp_path: Path) -> None:
    shutil.copy(INSTANCES / "n5.json", tmp_path / "i.json")
    do.write_calibration(some_table(), tmp_path / "t.json")
    done = run(tmp_path, *words.split())
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.json", "t.json"]


def test_the_summary_tells_where_choices_are_weak(cache: Path) -> None:
    found = quick(
        cache, sizes=[100, 200], params={"learning_rates": (1e-8, 1e-7, 1e-2)}, seeds=1
    )  # fmt: skip
    assert found.table is not None
    page = summary(found.table, (*found.choosing, *found.runs))
    assert (
        "Of 2 choices 2 are at an end of the grid: the largest learning rate tried, 0.01." in page
    )
    assert "With 200 samples nothing was tried: it takes what 100 chose." in page
    assert "batch size tried" not in page  # one alone has no ends
