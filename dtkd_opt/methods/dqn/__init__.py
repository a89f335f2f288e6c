"""The method `dqn`: one Q-network for all users, in a congestion game of many rounds.

For others: :class:`.method.DQN`, the method; :func:`.train.train_dqn` with
:class:`.settings.DQNTrainSettings`, its training. Both need torch and are imported on first use.
"""
