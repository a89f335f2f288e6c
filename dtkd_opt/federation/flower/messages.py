"""Payloads as Flower's arrays: raw bytes, so that payloads are counted without framing."""

from __future__ import annotations

from flwr.app import Array, ArrayRecord, Message

from dtkd_opt.federation.serialization import Payload

PAYLOAD, TASK, RESULT, ERROR = "payload", "task", "result", "error"  # records of a message


def array_record(payload: Payload) -> ArrayRecord:
    """A payload as it goes into a message."""
    arrays = {name: Array("uint8", (len(data),), "raw", data) for name, data in payload.items()}
    return ArrayRecord(arrays)


def payload_of(message: Message) -> Payload:
    """The payload of a message; empty where it has none."""
    records = message.content.array_records
    return {name: array.data for name, array in records.get(PAYLOAD, {}).items()}
