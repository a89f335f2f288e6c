"""The loss of distillation."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax


def soften(logits: Tensor, tau: float) -> Tensor:
    """(n, K) soft labels p = softmax(logits / τ), each row a distribution over the classes."""
    return softmax(logits / tau, dim=1)


def distillation_loss(
    logits: Tensor, labels: Tensor, soft: Tensor, alpha: Tensor | float, tau: float
) -> Tensor:
    """Mean of α τ² KL(p ‖ q) + (1 - α) CE over the samples (a scalar).

    p is the teacher's soft label, q = softmax(logits / τ) the student's, and CE the cross-entropy
    of the true label at temperature 1. τ² keeps the gradient's size as τ changes. From Hinton,
    Vinyals, Dean, "Distilling the knowledge in a neural network", 2015, section 2.

    Parameters
    ----------
    logits
        (n, K) of the student.
    labels
        (n,) true classes.
    soft
        (n, K) soft labels p of the teacher at temperature τ, see :func:`soften`.
    alpha
        Weight of the soft labels, in [0, 1]; or (n,) weights, 0 where a sample has none.
    tau
        Temperature τ, greater than 0.
    """
    divergence = kl_div(log_softmax(logits / tau, dim=1), soft, reduction="none").sum(dim=1)
    hard = cross_entropy(logits, labels, reduction="none")
    return (alpha * tau**2 * divergence + (1 - alpha) * hard).mean()
