"""Messages between a device and its server, as bytes: the engines send these payloads, and no more.

There are three kinds: fresh samples go up; soft labels or weights go down. Mirrored samples are
never sent: the twin has them.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from dtkd_opt.federation.party_data import Common, Samples

Payload: TypeAlias = dict[str, bytes]


def payload_bits(payload: Payload) -> int:
    """Bits that are sent, without any framing."""
    return 8 * sum(map(len, payload.values()))


def pack_samples(samples: Samples, classes: int) -> Payload:
    """Images as they are stored, and the fewest whole bytes that hold a label."""
    labels = samples.labels.astype(np.min_scalar_type(classes - 1))
    return {"images": samples.raw.tobytes(), "labels": labels.tobytes()}


def unpack_samples(payload: Payload, common: Common) -> Samples:
    """The samples of :func:`pack_samples`."""
    template = common.test.raw
    raw = np.frombuffer(payload["images"], template.dtype)
    raw = raw.reshape(-1, *template.shape[1:])
    labels = np.frombuffer(payload["labels"], np.min_scalar_type(common.classes - 1))
    return Samples(raw, labels.astype(np.int64))


def pack_logits(logits: Tensor) -> Payload:
    """(n, K) float32 logits, of which the receiver makes soft labels of its temperature."""
    return {"logits": logits.contiguous().numpy().tobytes()}


def unpack_logits(payload: Payload, common: Common) -> Tensor:
    """The logits of :func:`pack_logits`."""
    logits = np.frombuffer(payload["logits"], np.float32).reshape(-1, common.classes)
    return torch.from_numpy(logits.copy())


def pack_weights(network: nn.Module) -> Payload:
    """A network's weights and running statistics, in their own order."""
    state = network.state_dict().values()
    return {"weights": b"".join(value.contiguous().numpy().tobytes() for value in state)}


def unpack_weights(payload: Payload, network: nn.Module) -> None:
    """Put the weights of :func:`pack_weights` into a network of the same kind."""
    content, start, state = payload["weights"], 0, network.state_dict()
    for name, value in state.items():
        end = start + value.numel() * value.element_size()
        dtype = value.numpy().dtype
        part = np.frombuffer(content[start:end], dtype).reshape(tuple(value.shape))
        state[name], start = torch.from_numpy(part.copy()), end
    network.load_state_dict(state)
