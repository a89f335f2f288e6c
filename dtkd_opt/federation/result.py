"""The result of a plan that was carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from dtkd_opt.federation.hyperparameters import Interval
    from dtkd_opt.federation.timeline import Timeline
    from dtkd_opt.records.instance import Instance


@dataclass(frozen=True, eq=False)
class Federation:
    """Each user's predicted and realised figures.

    `users` has one row a user, with the columns of users.csv; those of the training are NaN for a
    user that has not been trained. `expected_interval` are the ends of the mean's calibrated 95 %
    interval, if known. `notes` are sentences on how the training differs from the plan.
    `interrupted`: Ctrl-C came before all users were done, and `resume` goes on.
    """

    instance: Instance
    data: str
    engine: str
    users: pd.DataFrame
    timeline: Timeline
    teacher_accuracy: float | None
    expected_interval: Interval | None
    notes: tuple[str, ...]
    interrupted: bool

    @property
    def done(self) -> pd.DataFrame:
        """The users whose student was trained."""
        return self.users[self.users.outcome == "done"]

    @property
    def failed(self) -> pd.DataFrame:
        """The users that failed, with the reason."""
        return self.users[self.users.outcome == "failed"]

    @property
    def realised_accuracy(self) -> float:
        """Mean over the users that are done; NaN without any."""
        return float(self.done.realised_accuracy.mean())

    @property
    def predicted_accuracy(self) -> float:
        """Mean of the plan's accuracies over the same users."""
        return float(self.done.predicted_accuracy.mean())

    @property
    def total_delay_s(self) -> float:
        """The plan's total delay over all users, by the delay model [s]."""
        return float(self.users.delay_s.sum())
