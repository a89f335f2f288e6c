"""The loss of distillation, held against the formula."""

from __future__ import annotations

import pytest
import torch

from dtkd_opt.distill.loss import distillation_loss, soften

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], dtype=torch.float64)

TAUGHT = torch.tensor([[4.0, 1.0, -1.0], [1.0, -1.0, 0.5]], dtype=torch.float64)

LABELS = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("alpha", "tau", "value"),
    [
        (0.0, 1.0, 2.6481482660171522),
        (1.0, 1.0, 1.3989332549346839),
        (0.9, 4.0, 2.3807707905324046),
        (0.5, 2.0, 2.3217362946321143),
    ],
)
def test_loss_is_what_the_formula_gives(alpha: float, tau: float, value: float) -> None:
    """Values from the formula in 30 digits, without torch (mpmath)."""
    loss = distillation_loss(LOGITS, LABELS, soften(TAUGHT, tau), alpha, tau)
    assert loss.item() == pytest.approx(value, rel=1e-14)


def test_samples_without_soft_label_count_by_cross_entropy_alone() -> None:
    weights = torch.tensor([0.9, 0.0], dtype=torch.float64)
    both = distillation_loss(LOGITS, LABELS, soften(TAUGHT, 4.0), weights, 4.0)
    soft, hard = (
        distillation_loss(LOGITS[i : i + 1], LABELS[i : i + 1], soften(TAUGHT, 4.0)[i], alpha, 4.0)
        for i, alpha in ((0, 0.9), (1, 0.0))
    )
    assert both.item() == pytest.approx((soft + hard).item() / 2, rel=1e-14)


def test_hot_soft_labels_match_logits() -> None:
    """As τ grows, the gradient is the difference of centred logits over K: Hinton et al., eq. 4."""
    logits = LOGITS.clone().requires_grad_()
    loss = distillation_loss(logits, LABELS, soften(TAUGHT, 1e4), 1.0, 1e4)
    (gradient,) = torch.autograd.grad(loss, logits)
    difference = (LOGITS - LOGITS.mean(1, keepdim=True)) - (TAUGHT - TAUGHT.mean(1, keepdim=True))
    torch.testing.assert_close(gradient, difference / 3 / len(LOGITS), rtol=1e-3, atol=0)
