"""Pyomo models in HiGHS; for others: :class:`dtkd_opt.milp.master_problem.MasterProblem`."""
