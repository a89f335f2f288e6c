"""Payloads in Flower's messages."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


@pytest.mark.skipif(find_spec("flwr") is None, reason="needs the extra federated")
@pytest.mark.filterwarnings("ignore")  # those of Flower's imports
def test_payloads_are_arrays_of_as_many_bytes() -> None:
    from dtkd_opt.federation.flower.messages import array_record

    payload = {"images": bytes(range(256)) * 3, "labels": b""}
    record = array_record(payload)
    copy = type(record).inflate(
        record.deflate(), {x.object_id: x for x in record.children.values()}
    )
    assert {name: array.data for name, array in copy.items()} == payload
