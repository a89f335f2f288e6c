"""What a field of a record may hold: the constrained types that all records share."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias, TypeVar, cast

from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    Strict,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dtkd_opt.errors import InputError
from dtkd_opt.records.arrays import plain_value
from dtkd_opt.records.validation import fault_lines

# within these, no product or quotient of the physics overflows or vanishes
SMALLEST, LARGEST = 1e-30, 1e30
MAX_COUNT = 10**15  # a float holds all whole numbers up to here
MIN_FRACTION = 1e-12
MAX_GAIN = 1.0  # no receiver gets more power than was sent


# what a record takes in Python where its file holds a list of numbers
Numbers: TypeAlias = Sequence[float] | NDArray[Any]
Init = TypeVar("Init", bound=Callable[..., None])


class Record(BaseModel):
    """Frozen, validated, and without keys that are not known.

    Built in Python, NumPy's scalars and arrays count as the numbers and lists that they hold, NaN
    in an array as null; `name` may be the one positional argument.

    Raises
    ------
    InputError
        One line per fault; of `model_validate` and its like, pydantic's own ValidationError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def __init__(self, *args: Any, **fields: Any) -> None:
        if args:
            if len(args) > 1 or "name" in fields or "name" not in type(self).model_fields:
                but = ", only a name is not" if "name" in type(self).model_fields else ""
                raise TypeError(f"{type(self).__name__}: fields are keywords{but}")
            fields["name"] = args[0]
        try:
            super().__init__(**{key: plain_value(value) for key, value in fields.items()})
        except ValidationError as error:
            name = fields.get("name")
            label = f' "{name}"' if isinstance(name, str) and name else ""
            faults = fault_lines(error, python=True, keys=type(self).model_fields)
            raise InputError(type(self).__name__ + label, faults) from None

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined] # reading does not call it

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if "__init__" not in vars(cls):
            cls.__init__ = init_signature(_keyword_stub(cls))  # type: ignore[method-assign]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            kind = type(self).__name__
            raise AttributeError(f"{kind} is frozen; .replace({name}=...) makes a changed copy")
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return repr(self)

    def __hash__(self) -> int:
        values = (getattr(self, key) for key in type(self).model_fields)  # of mappings the keys
        return hash(tuple(frozenset(v) if isinstance(v, dict) else v for v in values))

    def replace(self, **changes: Any) -> Self:
        """A copy with other values, which are checked as those of a new record."""
        kept = {key: getattr(self, key) for key in self.model_fields_set}
        return type(self)(**kept | changes)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, but that an update is checked."""
        copy = super().model_copy(deep=deep)
        return copy.replace(**update) if update else copy

    copy = model_copy  # type: ignore[assignment, pydantic-field] # pydantic's checks nothing

    def hash_files(self) -> Mapping[str, str]:
        """Hexadecimal SHA-256, by name, of the files whose contents count as part of the record.

        For settings of methods: with other contents `compare` runs the method again.

        Raises
        ------
        InputError
            When one of them cannot be used.
        """
        return {}


def init_signature(stub: Init) -> Init:
    """An `__init__` that is the one of :class:`Record`, with the parameters of an empty function.

    So that `help`, editors and type checkers know the fields, and what is taken for each.
    """

    @wraps(stub)
    def init(self: Record, *args: Any, **fields: Any) -> None:
        Record.__init__(self, *args, **fields)

    init.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    return cast(Init, init)


def _keyword_stub(record: type[Record]) -> Callable[..., None]:
    """An empty `__init__` whose signature has a keyword for each field."""

    def init(self: Record, **fields: Any) -> None: ...

    written = ChainMap(*(vars(base).get("__annotations__", {}) for base in record.__mro__))
    parameters = [Parameter("self", Parameter.POSITIONAL_ONLY)]
    for key, field in record.model_fields.items():
        if key != "format":  # what files begin with
            default = field.get_default(call_default_factory=True)
            default = Parameter.empty if field.is_required() else default
            kind = Parameter.KEYWORD_ONLY
            parameters.append(Parameter(key, kind, default=default, annotation=written[key]))
    init.__signature__ = Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
    return init


def _bounded(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    # a second step, so that the fault of a negative number is that it must be positive
    bounds = core_schema.float_schema(ge=SMALLEST, le=LARGEST)
    return core_schema.chain_schema([handler(source), bounds])


def _zero_or_noticeable(value: float) -> float:
    # a share that would upload less than a bit of anything is a mistake, and underflows
    if 0 < value < MIN_FRACTION:
        raise PydanticCustomError("tiny", "must be 0 or at least 1e-12")
    return value


def _possible_path(value: Any) -> Any:
    # Path("") would be the current folder
    if value == "":
        raise PydanticCustomError("empty_path", "must not be empty")
    return _without_null(value)


def _without_null(value: Any) -> Any:
    # where C reads a name, it would end there
    if isinstance(value, str | Path) and "\0" in str(value):
        raise PydanticCustomError("null_byte", "must not hold a null byte")
    return value


def _at_most_one(value: float) -> float:
    # a value in decibels is the likely mistake
    if value > MAX_GAIN:
        raise PydanticCustomError("gain_above_one", "{value}", {"value": value})
    return value


Text = Annotated[str, Strict()]
WithoutNull = Annotated[Text, BeforeValidator(_without_null)]
FilePath = Annotated[Path, BeforeValidator(_possible_path)]
Name = Annotated[Text, Field(min_length=1)]
_LIMITS: dict[str, Any] = {"minimum": SMALLEST, "maximum": LARGEST}  # in the JSON Schema
Positive = Annotated[
    float,
    Strict(),
    Field(gt=0, allow_inf_nan=False, json_schema_extra=_LIMITS),
    GetPydanticSchema(_bounded),
]
Gain = Annotated[Positive, AfterValidator(_at_most_one)]
NonNegative = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
NonNegatives = tuple[NonNegative, ...]
Amount = Annotated[float, Strict(), Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
PositiveFraction = Annotated[float, Strict(), Field(gt=0, le=1, allow_inf_nan=False)]
Share = Annotated[Fraction, AfterValidator(_zero_or_noticeable)]
Count = Annotated[int, Strict(), Field(ge=1, le=MAX_COUNT)]
Whole = Annotated[int, Strict(), Field(ge=0)]
Flag = Annotated[bool, Strict()]


def raise_faults(faults: Sequence[str]) -> None:
    """From a record's own check: one line a fault, each with its path inside the record."""
    if faults:
        raise PydanticCustomError("faults", "; ".join(faults), {"lines": list(faults)})
