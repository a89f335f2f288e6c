"""Certificates checked by an arithmetic of its own: `verify`, and `arithmetic_for` an instance."""

from dtkd_opt.proof.verify.arithmetic import arithmetic_for as arithmetic_for
from dtkd_opt.proof.verify.arithmetic import can_verify as can_verify
from dtkd_opt.proof.verify.verification import verify as verify
