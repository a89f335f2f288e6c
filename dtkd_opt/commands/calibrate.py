"""`calibrate`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dtkd_opt.commands import console
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.outputs import check_files, check_writable
from dtkd_opt.records.result_files import all_calibration_paths, calibration_paths
from dtkd_opt.records.streams import is_stream, source_name, target_name

if TYPE_CHECKING:
    from dtkd_opt.distill.calibrate import CalibrationResult
    from dtkd_opt.records.calibration import Accuracy, Calibration
    from dtkd_opt.records.instance import Instance

_Function = TypeVar("_Function", bound=Callable[..., Any])
_MIN_SIZES = 4  # of a fitted power law
_SETTINGS = ("epochs", "batch_sizes", "learning_rates", "tau", "alpha", "fresh_fraction",
             "partition")  # fmt: skip


def _list_option(
    name: str, kind: Callable[[str], Any], example: str, text: str
) -> Callable[[_Function], _Function]:
    """An option for values of one kind with commas between them."""

    def parse(value: str) -> tuple[Any, ...]:
        try:
            return tuple(kind(part.strip()) for part in value.split(","))
        except ValueError:
            raise click.BadParameter(f"{value!r} must be such as {example}") from None

    return click.option(name, type=parse, metavar="A,B,…", help=text)


@click.command()
@console.data_option
@console.data_dir_option
@click.option("--seeds", default=3, show_default=True, help="How many seeds, from 0 on.")
@_list_option("--sizes", int, "100,300,1000",
              "Private samples. [default: 100 to 3000; digits: to 1000]")  # fmt: skip
@_list_option("--students", str, "mlp16,cnn_m", "[default: all six]")
@click.option("--epochs", type=int, help="Epochs of each training. [default: 40]")
@_list_option("--batch-sizes", int, "16,64", "To choose from.")
@_list_option("--learning-rates", float, "1e-3,1e-2", "To choose from.")
@click.option("--tau", type=console.NUMBER, help="Temperature of soft labels. [default: 4]")
@click.option("--alpha", type=console.NUMBER, help="Weight of soft labels. [default: 0.9]")
@click.option("--fresh-fraction", type=console.NUMBER,
              help="Samples without soft labels on the device. [default: 0.3]")  # fmt: skip
@click.option("--partition", help="iid, or dirichlet(ALPHA). [default: iid]")
@console.jobs_option
@console.dask_option
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@console.cache_option
@click.option("--resume", is_flag=True, help="Keep the finished trainings of --output.")
@click.option("--output", type=console.FILE,
              help="The accuracy table; other files get its name and other endings.")  # fmt: skip
@click.option("--models", type=console.FILE,
              help="Take this accuracy table for --into, and train nothing.")  # fmt: skip
@click.option("--into", type=console.FILE, help="Put its models into this instance file.")
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
    accuracy = accuracy or "mean"
    _check(output, models, into, given["data"])
    kept = "" if output is None else "; finished trainings are kept, --resume goes on"
    with console.exit_when_stopped(kept):
        if output is None:
            _insert_finished(models, into, accuracy)
        elif _calibrate(output, into, accuracy, given):
            sys.exit(1)


def _check(output: Path | None, models: Path | None, into: Path | None, data: str) -> None:
    """Raise before torch is loaded what would be met after hours."""
    target = [] if into is None else [into]
    reads = [*target, *([models] if models else []), *console.data_files(data)]
    check_files(reads)
    for path in target:  # is read and written, if it is a file
        check_writable(path)
    if output is not None:
        for path in (output, *target):  # others lie beside the one, the other is read twice
            if is_stream(path):
                raise InputError(target_name(path), ["is no plain file; name one"])
        check_files(reads, all_calibration_paths(output))


def _insert_finished(models: Any, into: Path | None, accuracy: Accuracy) -> None:
    """Take the models of a finished calibration."""
    from dtkd_opt.records.calibration import read_calibration

    if into is None:
        raise UsageError("--models needs --into INSTANCE; nothing is trained")
    ctx = click.get_current_context()
    for name in ctx.params:
        given = ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if given and name not in ("models", "into", "accuracy"):
            raise UsageError(f"--{name.replace('_', '-')} does nothing with --models; leave it")
    _write_into(read_calibration(models), into, accuracy)


def _calibrate(output: Path, into: Path | None, accuracy: Accuracy, given: dict[str, Any]) -> bool:
    """Calibrate; whether trainings failed."""
    from dtkd_opt.distill.calibrate import calibrate as run
    from dtkd_opt.distill.settings import CalibrationSettings
    from dtkd_opt.runtime.interrupts import KeepOnCtrlC

    options = {name: given.pop(name) for name in _SETTINGS}
    settings = console.make_record(CalibrationSettings, options)
    if into is not None:  # before hours of training
        _check_accuracy(accuracy, given["seeds"], given["sizes"])
        _read_checked(into, settings.epochs)
    with KeepOnCtrlC() as ctrl_c, console.progress_bar() as callback:
        result = run(output=output, settings=settings, callback=callback, **given)
        ctrl_c.finish()
    if result.calibration is None:
        raise KeyboardInterrupt
    _print(result.calibration, result, output)
    if into is not None:
        _write_into(result.calibration, into, accuracy)
    return bool(result.failures)


def _check_accuracy(accuracy: Accuracy, seeds: int, sizes: tuple[int, ...] | None) -> None:
    """UsageError where the calibration will not have the accuracies that --into is to take."""
    if accuracy == "lower95" and seeds < 2:
        raise UsageError(f"--accuracy lower95 takes --seeds of 2 or more, got {seeds}")
    if accuracy == "fitted" and sizes is not None and len(sizes) < _MIN_SIZES:
        raise UsageError(f"--accuracy fitted takes {_MIN_SIZES} --sizes or more")


def _read_checked(into: Path, epochs: int) -> Instance:
    from dtkd_opt.records.calibration import check_epochs
    from dtkd_opt.records.instance import read_instance

    instance = read_instance(into)
    check_epochs(instance, epochs, source_name(into))
    return instance


def _write_into(calibration: Calibration, into: Path, accuracy: Accuracy) -> None:
    from dtkd_opt.records.instance import write_instance

    instance = calibration.into(_read_checked(into, calibration.task.epochs), accuracy)
    line = console.write(partial(write_instance, instance), into)
    console.print_line(f"{line} (models of {calibration.data}, {accuracy})", into)


def _print(calibration: Calibration, result: CalibrationResult, output: Path) -> None:
    from dtkd_opt.distill.summary import accuracy_lines, failure_lines

    for line in accuracy_lines(calibration, result.trainings):
        console.print_line(line)
    console.print_first(failure_lines(result.failures), calibration_paths(output)[1])
    console.print_line(f"written: {', '.join(map(str, calibration_paths(output)))}")
