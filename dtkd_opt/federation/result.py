"""The result of a plan that was carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from dtkd_opt.federation.hyperparameters import Interval
    from dtkd_opt.federation.timeline import Timeline
    from dtkd_opt.records.instance import Instance


@dataclass(frozen=True, eq=False, repr=False)
class Federation:
    """Each user's predicted and realised figures."""

    instance: Instance  # of the plan
    data: str  # name of the data set
    engine: str  # that trained
    users: pd.DataFrame  # a row a user, as in users.csv; NaN where there is no training yet
    timeline: Timeline  # each user's delay in stages, by the delay model
    teacher_accuracy: float | None  # on the test split; None without
    expected_interval: Interval | None  # ends of the mean's calibrated 95 % interval, if known
    notes: tuple[str, ...]  # sentences on how the training differs from the plan
    interrupted: bool  # Ctrl-C came before all users were done; `resume` goes on

    def __repr__(self) -> str:
        done, accuracy = f"{len(self.done)} of {len(self.users)}", f"{self.realised_accuracy:.4g}"
        return f"<Federation of {self.instance!r}: {done} trained, accuracy {accuracy}>"

    @property
    def done(self) -> pd.DataFrame:
        """The users whose student was trained."""
        return self.users[self.users.outcome == "done"]

    @property
    def failed(self) -> pd.DataFrame:
        """The users that failed or cannot be carried out, with the reason."""
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
