"""How plans are carried out: the settings that `federate`, `federate_all` and `fedavg` share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict

from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.fields import FilePath, Record, Text

Engine = Literal["in-process", "flower", "flower-simulation"]


class FederationSpec(Record):
    """Data, seed and engine of a federation. Equal specs give equal accuracies on any engine."""

    data: Text = "digits"  # as of :func:`dtkd_opt.distill.data.load_data`
    data_dir: FilePath | None = None
    """Folder of Fashion-MNIST. None: where Debian's package has it."""
    partition: Text = "iid"  # how the private samples are drawn: `iid` or `dirichlet(α)`
    seed: Annotated[int, Strict(), Field(ge=0, le=2**64 - 1)] = 0  # as many as torch takes
    """Of the private samples and, with each user's number, of the training."""
    calibration: Calibration | None = None
    """The predictions' source: training takes the learning rates and batch sizes that it chose.

    None: :func:`shipped_calibration` where `data` are its and the instance carries its task and
    models (or what :func:`local_only` makes of them), else the defaults of `TrainConfig`."""
    engine: Engine = "in-process"
    """`in-process`; `flower`, where each user is a process of Flower's (a SuperNode); or
    `flower-simulation`, Flower's simulation engine. The last two need the extra `federated`."""
    jobs: Annotated[int, Strict(), Field(ge=-1)] = -1
    """How many users train at once; -1 is one a core."""
    strict: Annotated[bool, Strict()] = False
    """Whether one user that cannot be carried out is a fault of the whole, and nobody is."""
    cache: FilePath | None = None
    """Folder of trained teachers. None: `dtkd-opt` in the user's cache."""
