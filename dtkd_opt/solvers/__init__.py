"""The only modules that call solvers; everything else asks for a model's solution here.

`clarabel` has the quadratic master of the prices, `highs` their linear master and the MILPs of
Pyomo. Import from the module that is needed: each loads its solver.
"""
