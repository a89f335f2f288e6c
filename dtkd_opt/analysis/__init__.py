"""Many solves together: `compare` methods, the `pareto` front, re-planning by `Planner`."""
