"""What a field of a record may hold: the constrained types that all records share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    Strict,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

# within these, no product or quotient of the physics overflows or vanishes
SMALLEST, LARGEST = 1e-30, 1e30
MOST_COUNT = 10**15  # a float holds all whole numbers up to here
TINY = 1e-12


class Record(BaseModel):
    """Frozen, and without keys that are not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def hash_files(self) -> Mapping[str, str]:
        """Hexadecimal SHA-256, by name, of the files whose contents count as part of the record.

        For settings of methods: what `compare` found with other contents is another question.

        Raises
        ------
        InputError
            When one of them cannot be used.
        """
        return {}


def _bounded(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    # a second step, so that of a negative number it is said that it must be positive
    bounds = core_schema.float_schema(ge=SMALLEST, le=LARGEST)
    return core_schema.chain_schema([handler(source), bounds])


def _whole_or_noticeable(value: float) -> float:
    # a share that would upload less than a bit of anything is a mistake, and underflows
    if 0 < value < TINY:
        raise PydanticCustomError("tiny", "must be 0 or at least 1e-12")
    return value


Text = Annotated[str, Strict()]
Name = Annotated[Text, Field(min_length=1)]
Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False), GetPydanticSchema(_bounded)]
NonNegative = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Amount = Annotated[float, Strict(), Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Share = Annotated[Fraction, AfterValidator(_whole_or_noticeable)]
Count = Annotated[int, Strict(), Field(ge=1, le=MOST_COUNT)]
Flag = Annotated[bool, Strict()]


def raise_faults(faults: Sequence[str]) -> None:
    """From a record's own check: one line a fault, each with its path inside the record."""
    if faults:
        raise PydanticCustomError("faults", "; ".join(faults), {"lines": list(faults)})
