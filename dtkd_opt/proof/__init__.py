"""Checks of plans and proofs: figures, gaps, certificates.

:func:`~dtkd_opt.proof.check.check` recomputes the figures of a solution,
:func:`~dtkd_opt.proof.certify.certify` proves how far its plan is from the best one, and
:func:`~dtkd_opt.proof.verify.verify` checks such a proof with an arithmetic of its own, for which
it imports records and errors only.
"""
