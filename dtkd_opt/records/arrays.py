"""What arrays hold, and arrays from whatever Python, NumPy, pandas or PyTorch has as one.

Numbers, positions, yes or no; shapes are where they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.errors import InputError, printable

A = TypeVar("A", bound=np.generic)
Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]


def plain_value(value: Any) -> Any:
    """Python's own numbers and lists for what is or holds an array of NumPy, pandas or PyTorch.

    NaN in an array of numbers becomes None.
    """
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if not hasattr(value, "__array__"):
        return value
    array = np.asarray(value)
    if array.ndim == 0:
        return array.item()
    if array.dtype.kind == "f":
        objects = array.astype(object)
        objects[np.isnan(array)] = None
        return objects.tolist()
    return plain_value(array.tolist()) if array.dtype == object else array.tolist()


def is_list(values: Any) -> bool:
    """Whether it is a list, a tuple, an array, a column of a table or the like."""
    if hasattr(values, "__array__"):
        return np.ndim(values) > 0
    return isinstance(values, Sequence) and not isinstance(values, str | bytes | bytearray)


def float_array(values: Any, null: float | None = None) -> Array | None:
    """A copy as floats of the same shape, `null` for None.

    None where an entry is no number, or lists within it differ in length.
    """
    array = _as_array(values)
    if array is None:
        return None
    if array.dtype == object:
        plain = [null if x is None else x for x in map(plain_value, array.ravel())]
        if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in plain):
            return None
        try:
            return np.array(plain, float).reshape(array.shape)
        except OverflowError:  # a whole number of hundreds of digits
            return None
    return array.astype(float) if array.dtype.kind in "fiu" else None


def whole_array(values: Any) -> Index | None:
    """A copy as whole numbers of the same shape; None where an entry is none, or too large."""
    array = _as_array(values)
    if array is None:
        return None
    if array.dtype == object:
        plain = [plain_value(x) for x in array.ravel()]
        if not all(isinstance(x, int) and not isinstance(x, bool) for x in plain):
            return None
        array = np.array(plain, object).reshape(array.shape)
    elif array.dtype.kind not in "iu" and array.size:
        return None
    wide = array.dtype in (object, np.uint64)  # no other kind has larger ones
    if wide and array.size and not -(2**63) <= array.min() <= array.max() < 2**63:
        return None
    return array.astype(np.int64)


def as_numbers(given: Any, name: str, *shape: int | None, null: float | None = None) -> Array:
    """What was given by that name, as floats of that shape (None: any length), `null` for None.

    InputError, `name: must …`, where it is nothing of the kind.
    """
    return _shaped(float_array(given, null), given, name, "numbers", shape)


def as_positions(given: Any, name: str, size: int, *shape: int | None) -> Index:
    """The same of whole numbers from 0 to `size` - 1."""
    array = _shaped(whole_array(given), given, name, "whole numbers", shape)
    if array.size and not (array.min() >= 0 and array.max() < size):
        outside = array[(array < 0) | (array >= size)][0]
        raise InputError(name, [f"must hold whole numbers from 0 to {size - 1}, got {outside}"])
    return array


def _shaped(
    array: NDArray[A] | None, given: Any, name: str, kind: str, shape: tuple[int | None, ...]
) -> NDArray[A]:
    if array is None:
        raise InputError(name, [f"must hold {kind}, got {printable(repr(given)):.60}"])
    pairs = zip(shape, array.shape, strict=False)
    if array.ndim == len(shape) and all(size in (None, length) for size, length in pairs):
        return array
    words = ("entries",) if len(shape) == 1 else ("rows", "columns")
    sizes = [f"{n} {word}" for n, word in zip(shape, words, strict=True) if n is not None]
    wanted = " and ".join(sizes) or f"{len(shape)} dimensions"
    raise InputError(name, [f"must have {wanted}, got {array.shape}"])


def _as_array(values: Any) -> NDArray[Any] | None:
    kind = None if hasattr(values, "__array__") else object  # a list may hold True, which is no 1
    try:
        return np.asarray(values, kind)
    except (ValueError, TypeError):  # arrays of different shapes; what only looks like an array
        return None
