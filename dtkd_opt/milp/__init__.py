"""Pyomo models that HiGHS solves: :class:`outer_approximation.OuterApproximation` is for others."""
