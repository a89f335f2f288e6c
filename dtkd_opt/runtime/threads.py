"""What torch has for all threads of a process: how many it uses itself, and random numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
