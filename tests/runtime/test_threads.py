"""The threads of torch."""

from __future__ import annotations

import pytest

from dtkd_opt.runtime.threads import one_thread

torch = pytest.importorskip("torch")


def threads_within() -> int:
    with one_thread():
        return torch.get_num_threads()


def fail_within() -> None:
    with one_thread():
        raise LookupError


def test_torch_has_one_thread_within_and_as_many_as_before_after() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert threads_within() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(LookupError):
            fail_within()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
