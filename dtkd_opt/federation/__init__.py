"""Federation: carry a plan out by real training, and FedAvg and local training beside it.

`federate` and `federate_all` train the students of plans as a `FederationSpec` says; `local_only`
and `plan_fedavg` plan the baselines, `fedavg` trains the latter. Training needs the extra `train`.
"""

from dtkd_opt.federation.federation import federate, federate_all
from dtkd_opt.federation.plan import FederationPlan
from dtkd_opt.federation.result import Federation
from dtkd_opt.federation.spec import FederationSpec

__all__ = ["Federation", "FederationPlan", "FederationSpec", "federate", "federate_all"]
