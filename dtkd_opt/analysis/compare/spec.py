"""What a comparison asks: its runs in their order, each with all that decides what it finds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Annotated, Any

from pydantic import Field

from dtkd_opt.errors import UsageError
from dtkd_opt.methods import get_method, method_version
from dtkd_opt.methods.settings import check_tables, find_settings, make_params
from dtkd_opt.methods.solve import check_limits
from dtkd_opt.records.fields import Name, NonNegative, Positive, Record, Text
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Whole


class Asked(Record):
    """All that decides what a run finds: two runs of equal questions are one.

    `label` is what the comparison calls the method with these settings: its own name, or that of
    a table of settings. `settings` holds every setting, those left alone too: defaults may change.
    `files` are the hashes of what these depend on besides, by the files' names.
    """

    instance: Name
    instance_sha256: Text
    label: Name
    method: Name
    settings: dict[Text, Any]
    files: dict[Text, Text] = Field(default_factory=dict)
    seed: Whole
    gap_asked: NonNegative
    time_limit_s: Positive | None
    iterations: Annotated[Whole, Field(ge=1)] | None
    version: Text

    def __hash__(self) -> int:
        return hash((self.instance_sha256, self.label, self.seed))


Task = tuple[Instance, Asked]


def ask(
    instances: Sequence[Instance],
    labels: Sequence[str],
    params: Mapping[str, Any],
    seeds: int,
    limits: tuple[float, float | None, int | None],
) -> list[Task]:
    """All runs in their order: instance, label, seed.

    Parameters
    ----------
    instances, labels, params, seeds
        As `instances`, `methods`, `params` and `seeds` of :func:`compare`.
    limits
        Its gap, time_limit [s] and iterations.

    Raises
    ------
    InputError
        Settings that are unknown or out of their range, or of no method.
    UsageError
        What means nothing: unknown methods, names given twice, limits without sense.
    """
    _check(instances, labels, seeds, limits)
    if not isinstance(params, Mapping):
        raise UsageError(f"params must map names of methods to their settings, got {params!r}")
    check_tables(params, "params")
    gap, time_limit, iterations = limits
    common = {
        "gap_asked": float(gap),
        "time_limit_s": None if time_limit is None else float(time_limit),
        "iterations": None if iterations is None else int(iterations),
    }
    rivals = [common | _rival(label, params) for label in labels]
    return [
        (instance, Asked(**_names(instance), **rival, seed=seed))
        for instance in instances
        for rival in rivals
        for seed in range(int(seeds))
    ]


def _names(instance: Instance) -> dict[str, str]:
    return {"instance": instance.name, "instance_sha256": instance.sha256}


def _rival(label: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is told of a method: label, name, all settings and their files, version."""
    method, given = find_settings(label, params)
    source = f"params [{label}]"
    settings = _settings(method, given, source)
    return {
        "label": label,
        "method": method,
        "settings": {} if settings is None else _as_json(settings, source),
        "files": {} if settings is None else dict(settings.hash_files()),
        "version": method_version(method),
    }


def _settings(method: str, given: Any, source: str) -> Record | None:
    """Every setting; None of a method whose settings cannot be told in words."""
    kind = get_method(method).params_type
    if isinstance(given, Record):
        if kind is None or not isinstance(given, kind):
            raise UsageError(f"{source}: {given!r} holds no settings of {method}")
    else:
        given = make_params(method, given, source)
    if given is None and (kind is None or not issubclass(kind, Record)):
        return None
    return _with_one_thread(given or get_method(method).default_params())


def _as_json(params: Record, source: str) -> dict[str, Any]:
    try:
        return params.model_dump(mode="json")
    except ValueError as error:
        raise UsageError(f"{source}: cannot be written as JSON: {error}") from None


def _with_one_thread(params: Record) -> Record:
    """HiGHS would take half of the cores, where the user has not said how many."""
    from dtkd_opt.solvers.highs import HighsParams

    highs = getattr(params, "highs", None)
    if not isinstance(highs, HighsParams) or "threads" in highs.model_fields_set:
        return params
    return params.model_copy(update={"highs": highs.model_copy(update={"threads": 1})})


def _check(
    instances: Sequence[Instance],
    labels: Sequence[str],
    seeds: int,
    limits: tuple[float, float | None, int | None],
) -> None:
    gap, time_limit, iterations = limits
    check_limits(gap, time_limit, iterations)
    if not math.isfinite(gap) or not math.isfinite(time_limit or 0):
        raise UsageError("gap and time_limit must be finite; leave time_limit out for no limit")
    if not (isinstance(seeds, Integral) and seeds >= 1):
        raise UsageError(f"seeds must be a whole number of at least 1, got {seeds!r}")
    _check_names("instance", [instance.name for instance in instances])
    _check_names("method", labels)


def _check_names(kind: str, names: Sequence[str]) -> None:
    """Rows are told apart by them."""
    if not names:
        raise UsageError(f"there must be at least one {kind} to compare")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UsageError(f'{kind} "{name}" is given {count} times; {kind} names must differ')
