"""The sequential decision as a Gymnasium environment, for agents of any library.

    import gymnasium
    env = gymnasium.make("dtkd_opt.gym:dtkd_opt/Offloading-v0", users=20)

The words before the colon import this package, which registers the environment. For others:
:class:`OffloadingEnv` and its :data:`ID`.
"""

from dtkd_opt.gym.environment import ID, OffloadingEnv

__all__ = ["ID", "OffloadingEnv"]
