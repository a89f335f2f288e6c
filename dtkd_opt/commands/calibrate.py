"""`calibrate`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dtkd_opt.commands.console import FILE, phases_bar, say
from dtkd_opt.errors import UsageError

if TYPE_CHECKING:
    from dtkd_opt.distill.jobs import TrainingRow
    from dtkd_opt.records.calibration import Accuracy, Calibration
    from dtkd_opt.records.instance import Instance

    _Values = click.ParamType[tuple[Any, ...]]
else:
    _Values = click.ParamType  # no generic class before click 8.4

_INTERRUPTED = 130  # as shells have it: 128 + the signal's number
_MIN_SIZES = 4  # of a fitted power law
_SHOWN = 20  # lines about trainings without a result
_SETTINGS = ("epochs", "batch_sizes", "learning_rates", "tau", "alpha", "fresh_fraction",
             "partition")  # fmt: skip


class _List(_Values):
    """Values of one kind with commas between them."""

    def __init__(self, kind: Callable[[str], Any], name: str):
        self.kind, self.name = kind, name

    def get_metavar(self, param: Any, ctx: Any = None) -> str:
        """As help shows it."""
        return "A,B,…"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """A tuple; click says which option is wrong."""
        try:
            return tuple(self.kind(part.strip()) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} must be such as {self.name}", param, ctx)


@click.command()
@click.option("--data", default="digits", show_default=True,
              help="digits, fashion-mnist, or npz:FILE.")  # fmt: skip
@click.option("--data-dir", type=FILE, help="Folder of Fashion-MNIST. [default: Debian's]")
@click.option("--seeds", default=3, show_default=True, help="How many seeds, from 0 on.")
@click.option("--sizes", type=_List(int, "100,300,1000"),
              help="Private samples. [default: 100 to 3000; digits: to 1000]")  # fmt: skip
@click.option("--students", type=_List(str, "mlp16,cnn_m"), help="[default: all six]")
@click.option("--epochs", type=int, help="Epochs of each training. [default: 40]")
@click.option("--batch-sizes", type=_List(int, "16,64"), help="To choose from.")
@click.option("--learning-rates", type=_List(float, "1e-3,1e-2"), help="To choose from.")
@click.option("--tau", type=float, help="Temperature of soft labels. [default: 4]")
@click.option("--alpha", type=float, help="Weight of soft labels. [default: 0.9]")
@click.option("--fresh-fraction", type=float,
              help="Samples without soft labels on the device. [default: 0.3]")  # fmt: skip
@click.option("--partition", help="iid, or dirichlet(ALPHA). [default: iid]")
@click.option("--jobs", default=-1, help="Processes at once. [default: one a core]")
@click.option("--dask", metavar="ADDRESS", help="Run on the cluster of this Dask scheduler.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--cache", type=FILE, help="Folder of trained teachers. [default: ~/.cache/dtkd-opt]")
@click.option("--resume", is_flag=True, help="Keep the finished trainings of --output.")
@click.option(
    "--output", type=FILE, help="The accuracy table; other files get its name and other endings."
)
@click.option("--models", type=FILE, help="Take this accuracy table for --into, and train nothing.")
@click.option("--into", type=FILE, help="Put its models into this instance file.")
@click.option("--accuracy", type=click.Choice(["mean", "lower95", "fitted"]),
              help="Which accuracies --into takes. [default: mean]")  # fmt: skip
def calibrate(
    output: Path | None, models: Path | None, into: Path | None, accuracy: Any, **given: Any
) -> None:
    """Train teacher and students, and write the accuracy table that instances carry.

    Each student is trained with each number of private samples and seed, with hard labels and by
    distillation on the device and at the server; learning rate and batch size are chosen before,
    on validation data. A training is kept as it ends: stopped by Ctrl-C (exit code 130) or
    otherwise, the same command with --resume goes on. Exit code 1 when a training failed.

    \b
    Beside TABLE.json: TABLE.csv (all trainings), TABLE.svg, TABLE.md (a page of summary) and
    TABLE.choosing.jsonl, TABLE.training.jsonl (what --resume needs).

    \b
    Example:
      dtkd-opt calibrate --data digits --output digits.json
      dtkd-opt calibrate --data fashion-mnist --seeds 5 --output fashion-mnist.json
      dtkd-opt calibrate --models fashion-mnist.json --into my.json --accuracy lower95
    """
    if (output is None) == (models is None):
        raise UsageError("give --output TABLE.json, or --models TABLE.json with --into INSTANCE")
    if accuracy is not None and into is None:
        raise UsageError("--accuracy says which accuracies --into takes; give --into INSTANCE")
    failed, accuracy = False, accuracy or "mean"
    try:
        if output is not None:
            failed = _train(output, into, accuracy, given)
        else:
            _take(models, into, accuracy)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the workers have ended
        kept = "" if output is None else "; finished trainings are kept, --resume goes on"
        click.echo(f"interrupted{kept}", err=True)
        sys.exit(_INTERRUPTED)
    if failed:
        sys.exit(1)


def _take(models: Any, into: Path | None, accuracy: Accuracy) -> None:
    """Take the models of a finished calibration."""
    from dtkd_opt.records.calibration import read_calibration

    if into is None:
        raise UsageError("--models needs --into INSTANCE; nothing is trained")
    ctx = click.get_current_context()
    for name in ctx.params:
        given = ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if given and name not in ("models", "into", "accuracy"):
            raise UsageError(f"--{name.replace('_', '-')} does nothing with --models; leave it")
    _put(read_calibration(models), into, accuracy)


def _train(output: Path, into: Path | None, accuracy: Accuracy, given: dict[str, Any]) -> bool:
    """Calibrate; whether trainings failed."""
    from dtkd_opt.distill.calibrate import calibrate as run
    from dtkd_opt.distill.results import check_output
    from dtkd_opt.distill.settings import as_settings
    from dtkd_opt.runtime.interrupts import KeepOnCtrlC

    options = {name: given.pop(name) for name in _SETTINGS}
    settings = as_settings({key: value for key, value in options.items() if value is not None})
    if into is not None:  # before hours of training
        check_output(output, [into])
        _check_enough(accuracy, given["seeds"], given["sizes"])
        _check(into, settings.epochs)
    with KeepOnCtrlC() as ctrl_c, phases_bar() as callback:
        result = run(output=output, settings=settings, callback=callback, **given)
        ctrl_c.finish()
    if result.calibration is None:
        raise KeyboardInterrupt
    _print(result.calibration, result.failures, output)
    if into is not None:
        _put(result.calibration, into, accuracy)
    return bool(result.failures)


def _check_enough(accuracy: Accuracy, seeds: int, sizes: tuple[int, ...] | None) -> None:
    """UsageError where the calibration will not have the accuracies that --into is to take."""
    if accuracy == "lower95" and seeds < 2:
        raise UsageError(f"--accuracy lower95 takes --seeds of 2 or more, got {seeds}")
    if accuracy == "fitted" and sizes is not None and len(sizes) < _MIN_SIZES:
        raise UsageError(f"--accuracy fitted takes {_MIN_SIZES} --sizes or more")


def _check(into: Path, epochs: int) -> Instance:
    from dtkd_opt.records.calibration import check_epochs
    from dtkd_opt.records.instance import read_instance

    instance = read_instance(into)
    check_epochs(instance, epochs, str(into))
    return instance


def _put(calibration: Calibration, into: Path, accuracy: Accuracy) -> None:
    from dtkd_opt.records.instance import write_instance

    instance = calibration.into(_check(into, calibration.task.epochs), accuracy)
    files = write_instance(instance, into)
    say(f"written: {' and '.join(map(str, files))} (models of {calibration.data}, {accuracy})")


def _print(calibration: Calibration, failures: Sequence[TrainingRow], output: Path) -> None:
    from dtkd_opt.distill.results import written
    from dtkd_opt.distill.summary import accuracy_lines, failure_lines

    for line in accuracy_lines(calibration):
        say(line)
    lines = failure_lines(failures)
    for line in lines[:_SHOWN]:
        click.echo(line, err=True)
    if len(lines) > _SHOWN:
        click.echo(f"… and {len(lines) - _SHOWN} more in {written(output)[1]}", err=True)
    say(f"written: {', '.join(map(str, written(output)))}")
