"""torch's compiler, which nothing here uses but which its optimizers, say, import."""

from __future__ import annotations

import os
from tempfile import gettempdir

_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def import_compiler() -> None:
    """Import torch's compiler before torch does: it would leave a folder of its own.

    As it is imported it makes its cache, by default in the temporary folder; the folder that it is
    told here is there already.
    """
    if _CACHE in os.environ:  # the user's own, or that of a compiler that is loaded
        return
    os.environ[_CACHE] = gettempdir()
    try:
        import torch._dynamo  # noqa: F401
    finally:
        del os.environ[_CACHE]  # for the user's own compilations
