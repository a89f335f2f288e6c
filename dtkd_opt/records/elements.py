"""What an instance consists of beside its users: the task, edge servers, student models."""

from __future__ import annotations

from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.fields import Amount, Count, Name, Positive, Record, init_signature


class Task(Record):
    """What all users train: epochs, bits of a sample and of a label, cycles of a soft label."""

    epochs: Count  # E_p, how often a student sees each sample of its user
    bits_per_sample: Positive  # β, size of a sample that is uploaded [bit]
    bits_per_label: Positive  # λ, size of a soft label that is downloaded [bit]
    teacher_cycles_per_sample: Amount  # c_T, cost of labelling one sample [cycles]


class Server(Record):
    """An edge server and its three pools: uplink band, downlink band [Hz], CPU [cycles/s]."""

    name: Name  # unique among the servers
    uplink_hz: Positive  # B^ul, the uplink band that its users share [Hz]
    downlink_hz: Positive  # B^dl, the downlink band [Hz]
    cpu_hz: Positive  # F, the CPU that its users share [cycles/s]
    tx_power_w: Positive  # P, power of the downlink over its whole band [W]
    noise_w_per_hz: Positive  # N0, noise density of uplink and downlink [W/Hz]

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

    name: Name  # unique among the models
    bits: Positive  # s_m, size of its weights [bit]
    cycles_per_sample: Positive  # c_m, cost of training with one sample in one epoch [cycles]
    accuracy: AccuracyTable  # what it reaches, by place and number of samples

    @init_signature
    def __init__(
        self, name: str, *, bits: float, cycles_per_sample: float, accuracy: AccuracyTable
    ) -> None: ...
