"""What torch has for all threads of a process: how many it uses itself, and random numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dtkd_opt.errors import UsageError, printable
from dtkd_opt.records.arguments import shown

_generator = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: it always adds up in the same order then.

    The matrices here are small; on a busy machine, sharing them out takes twenty times as long.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    """Seed torch's own generator within, one thread at a time; its state is then as it was."""
    import torch

    with _generator, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def as_device(given: str) -> str:
    """One of torch's devices, `cpu` or `cuda`; UsageError where it is not available here."""
    import torch

    if isinstance(given, str) and (
        given == "cpu" or (given == "cuda" and torch.cuda.is_available())
    ):
        return given
    name = f'"{printable(given)}"' if isinstance(given, str) else shown(given)
    raise UsageError(f'device {name} is not available here; use "cpu"')
