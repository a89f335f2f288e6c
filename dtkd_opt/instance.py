"""Instance records: frozen, validated, in SI units and linear (not dB) values.

The file format is documented in instances/README.md.
"""

from __future__ import annotations

import bisect
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    PrivateAttr,
    Strict,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dtkd_opt.files import parse_json, read_bytes, sha256, validate, write_atomic

FORMAT = "dtkd-opt/instance/1"

# within these, no product or quotient of the physics overflows or vanishes
SMALLEST, LARGEST = 1e-30, 1e30


def _bounded(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    # a second step, so that of a negative number it is said that it must be positive
    bounds = core_schema.float_schema(ge=SMALLEST, le=LARGEST)
    return core_schema.chain_schema([handler(source), bounds])


def _whole_or_noticeable(value: float) -> float:
    # a share that would upload less than a bit of anything is a mistake, and underflows
    if 0 < value < 1e-12:
        raise PydanticCustomError("tiny", "must be 0 or at least 1e-12")
    return value


Name = Annotated[str, Strict(), Field(min_length=1)]
Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False), GetPydanticSchema(_bounded)]
NonNegative = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Amount = Annotated[float, Strict(), Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Share = Annotated[Fraction, AfterValidator(_whole_or_noticeable)]
Count = Annotated[int, Strict(), Field(ge=1, le=10**15)]

Place = Literal["device", "server"]
PLACES: tuple[Place, Place] = ("device", "server")
DEVICE, SERVER = range(2)  # places by number
POOLS = ("uplink", "downlink", "CPU")  # of a server


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _raise_faults(faults: Sequence[str]) -> None:
    if faults:
        raise PydanticCustomError("faults", "; ".join(faults), {"lines": list(faults)})


class AccuracyTable(_Record):
    """Accuracy a_m^place(D) at grid points of the private data size D."""

    samples: Annotated[tuple[Positive, ...], Field(min_length=1)]
    device: tuple[Fraction, ...]
    server: tuple[Fraction, ...]

    @model_validator(mode="after")
    def _check(self) -> AccuracyTable:
        faults = [
            f"samples[{i}]: must be greater than the entry before it, "
            f"got {after:.15g} after {before:.15g}"
            for i, (before, after) in enumerate(
                zip(self.samples, self.samples[1:], strict=False), start=1
            )
            if after <= before
        ]
        for place in PLACES:
            got, want = len(getattr(self, place)), len(self.samples)
            if got != want:
                faults.append(
                    f"{place}: must have one entry per entry of samples ({want}), got {got}"
                )
        _raise_faults(faults)
        return self

    def at(self, samples: float, place: Place) -> float:
        """Accuracy at a data size: piecewise linear in log(samples), constant beyond the ends."""
        grid, values = self.samples, getattr(self, place)
        if samples <= grid[0]:
            return float(values[0])
        if samples >= grid[-1]:
            return float(values[-1])
        i = bisect.bisect_right(grid, samples)
        weight = math.log(samples / grid[i - 1]) / math.log(grid[i] / grid[i - 1])
        return float(values[i - 1] + weight * (values[i] - values[i - 1]))


class Task(_Record):
    """What all users train: epochs, sizes of samples and labels, cost of labelling."""

    epochs: Count
    bits_per_sample: Positive
    bits_per_label: Positive
    teacher_cycles_per_sample: Amount


class Server(_Record):
    """An edge server and its three pools: uplink band, downlink band, CPU."""

    name: Name
    uplink_hz: Positive
    downlink_hz: Positive
    cpu_hz: Positive
    tx_power_w: Positive
    noise_w_per_hz: Positive


class Model(_Record):
    """A student model: its size, its training cost and its calibrated accuracy."""

    name: Name
    bits: Positive
    cycles_per_sample: Positive
    accuracy: AccuracyTable


class User(_Record):
    """A physical entity with private data, a CPU, a radio and optional limits."""

    name: Name
    samples: Count
    fresh_fraction: Share
    cpu_hz: Positive
    tx_power_w: Positive
    kappa: Amount
    channel_gain: tuple[Positive | None, ...]
    energy_j: Positive | None = None
    deadline_s: Positive | None = None
    min_accuracy: Fraction | None = None


class Instance(_Record):
    """A whole problem. Build it in Python or read it with :func:`read_instance`."""

    format: Literal["dtkd-opt/instance/1"]
    name: Name
    description: Annotated[str, Strict()] | None = None
    seconds_per_error: Amount
    task: Task
    servers: Annotated[tuple[Server, ...], Field(min_length=1)]
    models: Annotated[tuple[Model, ...], Field(min_length=1)]
    users: Annotated[tuple[User, ...], Field(min_length=1)]

    _sha256: str | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check(self) -> Instance:
        _raise_faults([*self._name_faults(), *self._user_faults()])
        return self

    def _name_faults(self) -> Iterator[str]:
        for kind in ("servers", "models", "users"):
            counts = Counter(item.name for item in getattr(self, kind))
            seen: set[str] = set()
            for i, item in enumerate(getattr(self, kind)):
                if counts[item.name] > 1 and item.name in seen:
                    yield f'{kind}[{i}].name: must be unique, "{item.name}" is used before'
                seen.add(item.name)

    def _user_faults(self) -> Iterator[str]:
        for i, user in enumerate(self.users):
            gains = user.channel_gain
            if len(gains) != len(self.servers):
                yield (
                    f"users[{i}].channel_gain: must have one entry per server "
                    f"({len(self.servers)}), got {len(gains)}"
                )
            elif all(gain is None for gain in gains):
                yield f"users[{i}].channel_gain: must reach at least one server, all are null"
            if user.min_accuracy is not None:
                best = max(m.accuracy.at(user.samples, p) for m in self.models for p in PLACES)
                if best < user.min_accuracy:
                    yield (
                        f"users[{i}].min_accuracy: must be at most {_rounded_down(best):g}, the "
                        f"best that any model reaches with {user.samples} samples, "
                        f"got {user.min_accuracy:.15g}"
                    )

    @property
    def sha256(self) -> str:
        """SHA-256 of the file that was read, or of :meth:`to_bytes` for a record made in Python."""
        return self._sha256 if self._sha256 is not None else sha256(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The instance as JSON, one line per user, so that files stay readable and diffable."""
        head = self.model_dump(exclude={"users", "models", "servers"}, exclude_none=True)
        parts = [f"{_json(key)}: {_json(value)}" for key, value in head.items()]
        for kind in ("servers", "models", "users"):
            rows = ",\n  ".join(
                _json(item.model_dump(exclude_defaults=True)) for item in getattr(self, kind)
            )
            parts.append(f'"{kind}": [\n  {rows}]')
        return ("{" + ",\n ".join(parts) + "}\n").encode()

    def __eq__(self, other: object) -> bool:
        # where a record was read from is not part of what it says
        return isinstance(other, Instance) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's; a changed copy is no longer what was in the file, nor is its hash."""
        copy = super().model_copy(update=update, deep=deep)
        if update:
            copy._sha256 = None
        return copy


def _rounded_down(accuracy: float) -> float:
    rounded = round(accuracy, 6)
    return rounded if rounded <= accuracy else round(rounded - 1e-6, 6)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def read_instance(path: str | Path) -> Instance:
    """Read and validate an instance file.

    Parameters
    ----------
    path
        A JSON file in the format ``dtkd-opt/instance/1``.

    Raises
    ------
    InputError
        One line per fault, each with the file and the path inside it.
    """
    path = Path(path)
    data = read_bytes(path)
    instance = validate(Instance, parse_json(data, str(path)), str(path))
    instance._sha256 = sha256(data)
    return instance


def write_instance(instance: Instance, path: str | Path) -> None:
    """Write an instance file atomically; `read_instance` gives back an equal record."""
    write_atomic(Path(path), instance.to_bytes())
