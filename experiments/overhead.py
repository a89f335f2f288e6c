"""Overhead of the training loop over the calls that it cannot do without: overhead.csv.

A training of 1,000 random samples is timed against the bare forward, backward and step calls on the
same batches, made before. Both are timed in turns by the CPU time of this process, which other
programs on the machine disturb less than the clock; the median of the ratios counts.

    python experiments/overhead.py
    python experiments/overhead.py --turns 1 --output /tmp/overhead.csv
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from common import provenance, write_csv
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dtkd_opt.distill.loss import distillation_loss, soften
from dtkd_opt.distill.networks import STUDENTS, build_network
from dtkd_opt.distill.training import LAYOUT, TrainConfig, train

SHAPE, CLASSES, SAMPLES = (1, 28, 28), 10, 1000
CONFIG = TrainConfig()
OUTPUT = Path(__file__).parent / "calibration" / "overhead.csv"


def bare(network: nn.Module, batches: list[tuple[Tensor, ...]]) -> None:
    """Nothing but the calls, over batches made before."""
    adam = torch.optim.Adam(network.parameters(), fused=True)
    for images, labels, *soft in batches:
        logits = network(images)
        if soft:
            loss = distillation_loss(logits, labels, soft[0], CONFIG.alpha, CONFIG.tau)
        else:
            loss = cross_entropy(logits, labels)
        loss.backward()
        adam.step()
        adam.zero_grad()


def compare(name: str, distilled: bool, turns: int) -> tuple[float, float]:
    """Milliseconds of a step of `train`, and its time over that of the bare calls."""
    images = torch.randn(SAMPLES, *SHAPE).contiguous(memory_format=LAYOUT)
    labels, soft = torch.randint(CLASSES, (SAMPLES,)), torch.randn(SAMPLES, CLASSES)
    data = [images, labels, *([soften(soft, CONFIG.tau)] if distilled else [])]
    parts = [part.tensor_split(CONFIG.batches(SAMPLES)) for part in data]
    batches = list(zip(*parts, strict=True)) * CONFIG.epochs
    times = []
    for _ in range(turns):
        networks = [build_network(name, SHAPE, CLASSES, seed=0) for _ in range(2)]
        start = time.process_time()
        train(networks[0], images, labels, soft if distilled else None, config=CONFIG, seed=0)
        middle = time.process_time()
        bare(networks[1].to(memory_format=LAYOUT), batches)
        times.append((middle - start, time.process_time() - middle))
    step = 1e3 * statistics.median(own for own, _ in times) / len(batches)
    return step, statistics.median(own / calls for own, calls in times)


def main() -> None:
    """Time every student with hard and with soft labels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=3, help="of each training and its bare calls")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    header = provenance(["torch"], "one thread, CPU time")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    for name in STUDENTS:
        for labels in ("hard", "soft"):
            step, ratio = compare(name, labels == "soft", options.turns)
            row = {"student": name, "labels": labels, "step_ms": f"{step:.3f}"}
            rows.append(row | {"overhead": f"{ratio:.3f}"})
            print(*rows[-1].values(), flush=True)
    write_csv(options.output, list(rows[0]), rows, header)


if __name__ == "__main__":
    main()
