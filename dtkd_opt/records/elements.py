"""What an instance consists of beside its users: the task, edge servers, student models."""

from __future__ import annotations

from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.fields import Amount, Count, Name, Positive, Record, init_signature


class Task(Record):
    """What all users train: epochs, bits of a sample and of a label, cycles of a soft label."""

    epochs: Count
    bits_per_sample: Positive
    bits_per_label: Positive
    teacher_cycles_per_sample: Amount


class Server(Record):
    """An edge server and its three pools: uplink band, downlink band [Hz], CPU [cycles/s]."""

    name: Name
    uplink_hz: Positive
    downlink_hz: Positive
    cpu_hz: Positive
    tx_power_w: Positive
    noise_w_per_hz: Positive

    @init_signature
    def __init__(
        self,
        name: str,
        *,
        uplink_hz: float,
        downlink_hz: float,
        cpu_hz: float,
        tx_power_w: float,
        noise_w_per_hz: float,
    ) -> None: ...


class Model(Record):
    """A student model: its size, its training cost and its calibrated accuracy."""

    name: Name
    bits: Positive
    cycles_per_sample: Positive
    accuracy: AccuracyTable

    @init_signature
    def __init__(
        self, name: str, *, bits: float, cycles_per_sample: float, accuracy: AccuracyTable
    ) -> None: ...
