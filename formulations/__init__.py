"""The problem as algebra: Pyomo models only, no solver calls. See formulations/README.md."""
