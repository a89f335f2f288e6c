"""Distillation: data, networks and their training; torch is imported in here only.

Every module of this package needs the extra `train`; without it, importing any says so.
"""

from __future__ import annotations

from dtkd_opt.errors import InputError

try:
    import safetensors  # noqa: F401
    import torch  # noqa: F401
except ImportError as error:
    fault = f'needs {error.name}: pip install "dtkd-opt[train]"'
    raise InputError("distillation", [fault]) from None
