"""methods/dqn."""
