"""Parcels as Flower's arrays: raw bytes, so that what crosses can be counted without framing."""

from __future__ import annotations

from flwr.app import Array, ArrayRecord, Message

from dtkd_opt.federate.serialization import Payload

PARCEL, TASK, FOUND, FAULT = "parcel", "task", "found", "fault"  # records of a message


def array_record(parcel: Payload) -> ArrayRecord:
    """A parcel as it goes into a message."""
    return ArrayRecord(
        {
            name: Array(dtype="uint8", shape=(len(data),), stype="raw", data=data)
            for name, data in parcel.items()
        }
    )


def parcel_in(message: Message) -> Payload:
    """The parcel of a message; empty where it has none."""
    records = message.content.array_records
    return {name: array.data for name, array in records.get(PARCEL, {}).items()}
