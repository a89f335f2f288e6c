"""What each side reads from disk is what it holds."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dtkd_opt.distill.training import predict
from dtkd_opt.federation.flower.files import (
    home,
    read_agent,
    read_common,
    read_device,
    read_teacher,
    write_files,
)
from dtkd_opt.federation.party_data import PartyData
from dtkd_opt.federation.user_training import UserTraining


def test_each_side_reads_what_it_holds(
    wanted: list[tuple[PartyData, UserTraining]], tmp_path: Path
) -> None:
    write_files(tmp_path, wanted)
    common = read_common(tmp_path)
    teacher = read_teacher(tmp_path, common)
    images = common.scale.standardise(common.test.raw)
    for n, (case, spec) in enumerate(wanted):
        device, theirs = read_device(home(tmp_path, n))
        agent, copy = read_agent(tmp_path, n, teacher)
        assert agent is not None
        assert case.agent is not None
        assert theirs == copy == spec
        assert device.fresh == case.device.fresh
        for found, held in ((device.samples, case.device.samples),
                            (agent.mirrored, case.agent.mirrored)):  # fmt: skip
            assert np.array_equal(found.raw, held.raw)
            assert np.array_equal(found.labels, held.labels)
        assert torch.equal(agent.logits, case.agent.logits)
        assert teacher is not None
        assert torch.equal(predict(teacher, images), predict(case.agent.teacher, images))
        assert os.listdir(home(tmp_path, n)) == ["device.npz"]


def test_hard_labels_alone_take_no_agent(
    wanted: list[tuple[PartyData, UserTraining]], tmp_path: Path
) -> None:
    local = [(replace(case, agent=None), spec) for case, spec in wanted]
    write_files(tmp_path, local)
    assert read_teacher(tmp_path, read_common(tmp_path)) is None
    assert read_agent(tmp_path, 1, None) == (None, local[1][1])
    agents = [f"agent-{n}.npz" for n in range(3)]
    assert sorted(os.listdir(tmp_path / "server")) == agents
