"""The problem as algebra: Pyomo models only, no solver calls; README.md has the mathematics.

`minlp` is the problem as stated, `perspective` its convex form, `allocation` the shares of a fixed
choice. Each has a `build` function; import the module that is needed, since each loads Pyomo.
"""
