"""The runs of a comparison in their order, each with all that decides its outcome."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from dtkd_opt.errors import UsageError
from dtkd_opt.methods.registry import (
    as_method,
    make_method,
    method_names,
    method_version,
    settings_of,
)
from dtkd_opt.methods.settings import check_settings, find_settings
from dtkd_opt.methods.stop import check_limits
from dtkd_opt.records.arguments import as_whole
from dtkd_opt.records.fields import Name, NonNegative, Positive, Record, Text, Whole
from dtkd_opt.records.instance import Instance


class RunSpec(Record):
    """All that decides the outcome of a run.

    `label` is what the comparison calls the method with these settings: its own name, or that of
    a table of settings. `settings` holds every setting, defaults too: they may change.
    `files` are the hashes of the files that these depend on, by name.
    """

    instance: Name  # its name
    instance_sha256: Text  # its hash
    label: Name  # of the method with its settings
    method: Name  # its name
    settings: dict[Text, Any]  # of the method
    files: dict[Text, Text] = Field(default_factory=dict)  # hashes by name
    seed: Whole  # of all randomness
    gap_target: NonNegative  # at which the method stops
    time_limit_s: Positive | None  # the same in seconds
    iterations: Annotated[Whole, Field(ge=1)] | None  # the same in rounds of its own
    version: Text  # of the package that has the method


MAX_SEEDS = 10**6
RunJob = tuple[Instance, RunSpec]
_OTHER_LABEL = 'name others in settings: {"label": {"method": …}}'


def build_specs(
    instances: Sequence[Instance],
    labels: Sequence[str],
    settings: Mapping[str, Any],
    seeds: int,
    limits: tuple[float, float | None, int | None],
) -> list[RunJob]:
    """All runs in their order: instance, label, seed.

    Parameters
    ----------
    instances, labels, settings, seeds
        As `instances`, `methods`, their settings and `seeds` of :func:`compare`.
    limits
        Its gap, time_limit [s] and iterations.
    """
    gap, time_limit, iterations = limits
    stop = check_limits(gap, time_limit, iterations)
    if not math.isfinite(stop.gap) or (time_limit is not None and math.isinf(stop.time_limit)):
        raise UsageError("gap and time_limit must be finite; leave time_limit out for no limit")
    words = "seeds must be a whole number of at least 1"
    seeds = as_whole(seeds, words, lambda n: 1 <= n <= MAX_SEEDS)
    _check_names("instance", [instance.name for instance in instances])
    _check_names("method", labels)
    if not isinstance(settings, Mapping):
        raise UsageError(f"settings must map names of methods to theirs, got {settings!r}")
    check_settings(settings, "settings")
    common = {
        "gap_target": stop.gap,
        "time_limit_s": None if time_limit is None else stop.time_limit,
        "iterations": stop.iterations,
    }
    methods = [common | _method_spec(label, settings) for label in labels]
    return [
        (
            instance,
            RunSpec(instance=instance.name, instance_sha256=instance.sha256, **method, seed=seed),
        )
        for instance in instances
        for method in methods
        for seed in range(seeds)
    ]


def name_methods(
    methods: Sequence[Any], settings: Mapping[str, Any] | None
) -> tuple[list[str], Mapping[str, Any]]:
    """The methods' labels, and the settings with those of methods that are given as such."""
    labels, settings = [], {} if settings is None else settings
    for method in methods:
        label = method
        if not isinstance(method, str):
            label, own = as_method(method)
            if label not in method_names():
                raise UsageError(f"methods must be of an installed package, {method!r:.60} is not")
            if label in labels or label in settings:
                raise UsageError(f'method "{label}" is given twice; {_OTHER_LABEL}')
            settings = {**settings, label: settings_of(own) or {}}
        labels.append(label)
    return labels, settings


def _method_spec(label: str, by_label: Mapping[str, Any]) -> dict[str, Any]:
    """A method's part of a spec: label, name, all settings and their files, version."""
    name, given = find_settings(label, by_label)
    source = f"settings [{label}]"
    settings = settings_of(make_method(name, given, source))
    spec: dict[str, Any] = {"label": label, "method": name, "version": method_version(name)}
    if settings is None:  # they are no record
        return spec | {"settings": {}}
    try:
        values = _with_one_thread(settings).model_dump(mode="json")
    except ValueError as error:
        raise UsageError(f"{source}: cannot be written as JSON: {error}") from None
    return spec | {"settings": values, "files": dict(settings.hash_files())}


def _with_one_thread(settings: Record) -> Record:
    """HiGHS would take half of the cores, where the user sets no number."""
    from dtkd_opt.solvers.highs import HighsSettings

    highs = getattr(settings, "highs", None)
    if not isinstance(highs, HighsSettings) or "threads" in highs.model_fields_set:
        return settings
    return settings.replace(highs=highs.replace(threads=1))


def _check_names(kind: str, names: Sequence[str]) -> None:
    """They identify the rows."""
    if not names:
        raise UsageError(f"there must be at least one {kind} to compare")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        advice = "instance names must differ" if kind == "instance" else _OTHER_LABEL
        raise UsageError(f'{kind} "{name}" is given {count} times; {advice}')
