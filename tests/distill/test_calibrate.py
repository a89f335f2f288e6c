"""`calibrate`: figures, files, resuming, faults, Dask. Digits, and few and short trainings."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dtkd_opt as do
from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.jobs import TrainingData, TrainingRow, execute
from dtkd_opt.distill.teacher import load_teacher
from tests.support import calibrating
from tests.support.calibrating import PROGRAM, quick
from tests.support.comparing import dask, wait_for

SMALL: dict[str, Any] = {"students": ["logreg"], "sizes": [100, 200], "seeds": 3}
SETTINGS = do.CalibrationSettings(epochs=10, learning_rates=(1e-2,), batch_sizes=(16,))
WORDS = ["--students", "logreg", "--sizes", "100,200", "--seeds", "3",
         "--epochs", "10", "--learning-rates", "1e-2", "--batch-sizes", "16"]  # fmt: skip
FILES = ["t.choosing.jsonl", "t.csv", "t.json", "t.md", "t.svg", "t.training.jsonl"]
N_SELECTION, N_TRAINING = 4, 18


def words(folder: Path, cache: Path, *more: str) -> list[str]:
    given = ["--output", str(folder / "t.json"), "--cache", str(cache), *more]
    return [*PROGRAM, "calibrate", *WORDS, *given]


def run(given: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(given, capture_output=True, text=True, timeout=300, **more)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def specs(path: Path) -> list[str]:
    return [json.dumps(row["spec"], sort_keys=True) for row in lines(path)]


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with all files of a calibration."""
    folder = tmp_path_factory.mktemp("unbroken")
    done = run(words(folder, cache))
    assert (done.returncode, done.stderr) == (0, "")
    assert "logreg" in done.stdout
    assert done.stdout.endswith(f"{folder / 't.md'}\n")
    return folder


def test_files_and_figures(unbroken: Path) -> None:
    """The table's statistics are those of the trainings, by other formulas."""
    assert sorted(os.listdir(unbroken)) == FILES
    runs = pd.read_csv(unbroken / "t.csv")
    assert len(runs) == N_SELECTION + N_TRAINING
    assert set(runs.outcome) == {"done"}
    scored = runs[runs.scored_on == "test"].set_index("seed")
    calibration = do.read_calibration(unbroken / "t.json")
    for curve in calibration.curves:
        for entry in curve.cells:
            part = scored[(scored.labels == curve.labels) & (scored.samples == entry.samples)]
            low, high = stats.t.interval(0.95, 2, part.accuracy.mean(), stats.sem(part.accuracy))
            expected = [part.accuracy.mean(), part.accuracy.std(), low, min(high, 1)]
            found = [entry.mean, entry.std, entry.lower95, entry.upper95]
            assert found == pytest.approx(expected, abs=1e-6)
    for gain in calibration.lifts:
        part = scored[scored.samples == gain.samples]
        soft, hard = (part[part.labels == kind].accuracy for kind in (gain.labels, "hard"))
        test = stats.ttest_rel(soft, hard).confidence_interval(0.95)
        found = [gain.mean, gain.lower95, gain.upper95]
        assert found == pytest.approx([(soft - hard).mean(), test.low, test.high], abs=1e-6)
    assert [(x.labels, x.samples) for x in calibration.lifts] == [
        (labels, size) for labels in ("device", "server") for size in (100, 200)
    ]
    assert calibration.task.model_dump() == {
        "epochs": 10, "bits_per_sample": 512, "bits_per_label": 320,
        "teacher_cycles_per_sample": calibration.networks[-1].flops / 16,
    }  # fmt: skip
    assert calibration.models[0].cycles_per_sample == 3 * 2 * 64 * 10 / 16
    assert calibration.models[0].bits == 32 * 65 * 10


def test_a_row_is_what_its_spec_gives(unbroken: Path, cache: Path) -> None:
    teacher = load_teacher(load_data("digits"), cache)
    assert do.read_calibration(unbroken / "t.json").teacher_sha256 == teacher.sha256
    training_data = TrainingData("digits", None, teacher.logits)
    rows = [TrainingRow.model_validate(row) for row in lines(unbroken / "t.training.jsonl")]
    for labels in ("hard", "device", "server"):
        row = next(row for row in rows if row.spec.labels == labels)
        assert execute(training_data, row.spec).accuracy == row.accuracy
    for change, reason in (
        ({"version": "1"}, "the calibration's is 1; install the same"),
        ({"data_sha256": "0"}, "other data than where the calibration was started"),
        ({"student": "resnet50"}, "there are logreg"),
    ):
        other = execute(training_data, rows[0].spec.replace(**change))
        assert (other.outcome, other.accuracy) == ("failed", None)
        assert reason in other.reason


def test_kill_9_then_resume_gives_the_same_table(
    unbroken: Path, cache: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "t.training.jsonl"
    given = words(tmp_path, cache, "--jobs", "1")
    process = subprocess.Popen(given, stdout=subprocess.DEVNULL)
    wait_for(lambda: journal.exists() and len(journal.read_bytes().splitlines()) >= 3)
    process.kill()
    process.wait()
    before = journal.read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    assert 3 <= before.count(b"\n") < N_TRAINING
    journal.write_bytes(before + before[:100])  # a torn line
    refused = run(given)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "holds trainings: resume them" in refused.stderr
    done = run([*given, "--resume"])
    assert (done.returncode, done.stderr) == (0, "")
    assert journal.read_bytes().startswith(before)
    for name, count in (("choosing", N_SELECTION), ("training", N_TRAINING)):
        found = specs(tmp_path / f"t.{name}.jsonl")
        assert len(found) == len(set(found)) == count
    assert (tmp_path / "t.json").read_bytes() == (unbroken / "t.json").read_bytes()


def test_ctrl_c_keeps_what_is_finished(unbroken: Path, cache: Path, tmp_path: Path) -> None:
    journal = tmp_path / "t.training.jsonl"
    process = subprocess.Popen(
        words(tmp_path, cache), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: journal.exists() and len(journal.read_bytes().splitlines()) >= 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers too
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert error == "interrupted; finished trainings are kept, --resume goes on\n"
    assert not (tmp_path / "t.json").exists()
    seen: list[tuple[str, float, float]] = []
    found = do.calibrate(
        **SMALL, settings=SETTINGS, output=tmp_path / "t.json", resume=True, cache=cache,
        callback=lambda *now: seen.append(now),
    )  # fmt: skip
    assert (len(found.selection), len(found.trainings), found.failures) == (
        N_SELECTION,
        N_TRAINING,
        (),
    )
    assert [phase for phase, *_ in seen[:2]] == ["choosing", "training"]
    assert 0 < seen[1][1] < seen[1][2]
    assert seen[-1][1] == pytest.approx(seen[-1][2])
    assert (tmp_path / "t.json").read_bytes() == (unbroken / "t.json").read_bytes()


def test_rows_of_other_specs_are_refused(unbroken: Path, cache: Path) -> None:
    before = (unbroken / "t.training.jsonl").read_bytes()
    build_specs = partial(do.calibrate, output=unbroken / "t.json", cache=cache, resume=True)
    for given, fault in (
        ({**SMALL, "settings": SETTINGS, "seeds": 2}, "seed 2 where now"),
        (
            {**SMALL, "settings": SETTINGS.replace(epochs=9)},
            "config.epochs 10 where",
        ),
        ({**SMALL, "settings": SETTINGS, "students": ["mlp16"]}, "student logreg where now mlp16"),
    ):
        with pytest.raises(do.InputError, match=fault) as error:
            build_specs(**given)
        assert str(error.value).endswith("; name another output, or remove it")
    assert (unbroken / "t.training.jsonl").read_bytes() == before


def test_a_diverging_setting_stops_its_job_only(cache: Path) -> None:
    found = quick(cache, students=["mlp16"], settings={"learning_rates": (1e30, 1e-2)})
    outcomes = [(row.spec.config.learning_rate, row.outcome) for row in found.selection]
    assert outcomes == [(1e30, "diverged"), (1e-2, "done")] * 2
    assert "learning_rate 1e+30" in found.selection[0].reason
    assert found.calibration is not None
    assert {choice.learning_rate for choice in found.calibration.choices} == {1e-2}
    assert found.failures == ()
    with pytest.raises(do.InputError, match="mlp16, hard labels: no learning rate succeeded"):
        quick(cache, students=["mlp16"], settings={"learning_rates": (1e30,)})


def test_an_empty_class_loses_its_size_and_is_told(cache: Path, tmp_path: Path) -> None:
    """Of 20 samples no seed has all classes, of 29 one of two has."""
    done = run(words(tmp_path, cache, "--sizes", "20,29,200", "--seeds", "2", "--epochs", "1"))
    assert done.returncode == 1
    assert "failed: logreg, hard, 20 samples, seed 0 (test): partition: class" in done.stderr
    assert done.stdout.splitlines()[1].split()[:3] == ["logreg", "hard", "none"]
    calibration = do.read_calibration(tmp_path / "t.json")
    assert calibration.models[0].accuracy.samples == (29.0, 200.0)
    one, two = calibration.curves[0].cells
    assert (one.runs, one.lower95, one.used_lower95) == (1, None, None)
    assert (two.runs, two.used_lower95) == (2, two.lower95)
    with pytest.raises(do.InputError, match="logreg with 29 samples; that takes two seeds"):
        calibration.models_with("lower95")
    page = (tmp_path / "t.md").read_text()
    assert "## Without a result" in page
    assert "| logreg | hard | none | " in page
    assert "- logreg, 20 samples: none, as it has no training with each kind of labels" in page
    assert "- logreg, hard, 29 samples: the 95 % interval is none, as only one of 2 seeds" in page
    settings = SETTINGS.replace(epochs=1)
    more = {"sizes": [20, 29, 200], "seeds": 2, "output": tmp_path / "t.json", "cache": cache}
    again = do.calibrate(**SMALL | more, settings=settings, resume=True)
    assert again.calibration == calibration
    assert len(again.failures) == done.stderr.count("failed: ")


def test_dirichlet_shards_are_other_data(cache: Path) -> None:
    alike, skewed = (
        quick(cache, students=["mlp16"], settings={"partition": kind})
        for kind in ("iid", "dirichlet(0.5)")
    )
    pairs = zip(alike.trainings, skewed.trainings, strict=True)
    assert all(a.accuracy != b.accuracy for a, b in pairs)


def test_full_disk_is_one_line_and_loses_nothing(cache: Path, unbroken: Path) -> None:
    folder = unbroken / "full"
    folder.mkdir()
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (2000, 2000))
    done = run(words(folder, cache), preexec_fn=limit)
    journal = folder / "t.choosing.jsonl"
    assert done.returncode == 1
    assert done.stderr == f"{journal}: cannot be written: the disk is full\n"
    resumed = run(words(folder, cache, "--resume"))
    assert resumed.returncode == 0
    assert (folder / "t.json").read_bytes() == (unbroken / "t.json").read_bytes()


def test_dask_workers_do_the_same(unbroken: Path, cache: Path, tmp_path: Path) -> None:
    worker = partial(dask, "worker", tmp_path, "--no-nanny", "--nthreads")
    with dask("scheduler", tmp_path, "--port", "0") as address, worker("1"):
        done = run(words(tmp_path, cache, "--dask", address))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "t.json").read_bytes() == (unbroken / "t.json").read_bytes()


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"data": "imagenet"}, "there are digits, fashion-mnist, npz:FILE"),
        ({"students": ["resnet50"]}, 'no student "resnet50"; choose of logreg'),
        ({"students": []}, "one or more"),
        ({"students": ["mlp16", "mlp16"]}, "each named once"),
        ({"sizes": [100, 100_000]}, "sizes must be at most 1169, the training samples of digits"),
        ({"sizes": [200, 100]}, "sizes must grow"),
        ({"sizes": [0]}, "at least 1"),
        ({"sizes": []}, "at least 1"),
        ({"seeds": 0}, "seeds must be"),
        ({"jobs": 0}, "jobs must be"),
        ({"device": "abacus"}, 'device "abacus" is not available'),
        ({"settings": {"partition": "by hand"}}, "partition must be iid or"),
    ],
)
def test_wrong_use_is_said_before_anything_is_trained(
    given: dict[str, Any], part: str, tmp_path: Path
) -> None:
    with pytest.raises(do.UsageError, match=part.replace("(", r"\(")):
        quick(tmp_path / "cache", output=tmp_path / "t.json", **given)
    assert os.listdir(tmp_path) == []


def test_command_line_faults_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, code, part in (
        ([], 2, "give --output TABLE.json"),
        (["--models", "t.json"], 2, "--models needs --into"),
        (["--output", "t.json", "--sizes", "many"], 2, "100,300,1000"),
        (["--output", "t.json", "--epochs", "0"], 2, "epochs: must be at least 1"),
        (["--output", "t.json", "--data", "npz:none.npz"], 1, "none.npz: no such file"),
        (["--output", "/dev/null/t.json"], 1, "/dev/null/t.json: cannot be written"),
        (["--output", "no/t.json"], 1, "no/t.json: cannot be written"),
        (["--output", "t.json", "--data", "fashion-mnist", "--data-dir", "."], 1, "apt-get"),
    ):
        done = calibrating.run(tmp_path, "calibrate", *given)
        assert (done.returncode, part in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(do.InputError, match=r'needs joblib: pip install "dtkd-opt\[train\]"'):
        do.calibrate()


def test_damaged_journal_names_the_line(unbroken: Path, cache: Path) -> None:
    journal = unbroken / "t.choosing.jsonl"
    text = journal.read_text()
    journal.write_text(text.replace('"outcome":"done"', '"outcome":"fine"', 1))
    with pytest.raises(do.InputError, match=r"choosing\.jsonl, line 1: outcome: must be"):
        do.calibrate(
            **SMALL, settings=SETTINGS, output=unbroken / "t.json", cache=cache, resume=True
        )
    journal.write_text(text)


def test_the_figure_shows_every_cell(unbroken: Path) -> None:
    from dtkd_opt.distill.figures import accuracy_figure

    calibration = do.read_calibration(unbroken / "t.json")
    (axis,) = accuracy_figure(calibration).axes
    heights = sorted(line.get_ydata()[i] for bars in axis.containers for line in bars[:1]
                     for i in range(2))  # fmt: skip
    means = sorted(100 * entry.mean for curve in calibration.curves for entry in curve.cells)
    assert heights == pytest.approx(means)
    assert np.all(np.array(means) > 50)
