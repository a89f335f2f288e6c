"""What several files here share."""

from __future__ import annotations

import pytest

from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.teacher import load_teacher
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.federation.party_data import PartyData, common_of, party_data_of
from dtkd_opt.federation.shards import Shard
from dtkd_opt.federation.user_training import UserTraining


@pytest.fixture(scope="session")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[PartyData, UserTraining]]:
    """Users with 60 samples each, of which 20, none and all are fresh, trained at the server."""
    data = load_data("digits")
    few = TrainConfig(epochs=1, batch_size=32)
    cache = tmp_path_factory.mktemp("teachers")
    teacher = load_teacher(data, cache, config=few, rows=data.train[:300])
    common, found = common_of(data), []
    for n, fresh in enumerate((20, 0, 60)):
        shard = Shard(data.train[60 * n : 60 * n + 60], fresh)
        spec = UserTraining(
            user=f"u{n}", student="logreg", place="server", config=few, seed=n, data="digits",
            data_sha256="", samples=60, fresh=fresh, shard_sha256="", teacher_sha256="",
            version="",
        )  # fmt: skip
        found.append((party_data_of(data, common, shard, teacher), spec))
    return found
