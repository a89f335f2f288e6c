"""Training of the Q-network of `dqn` on generated instances: `dtkd-opt train-dqn`."""
