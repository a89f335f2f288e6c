"""The models' units: MHz, Mbit, Gcycles and seconds, which keep coefficients near one."""

import numpy as np

MEGA, GIGA = 1e6, 1e9
SCALE = np.array([MEGA, MEGA, GIGA])  # of the pools: Hz in a MHz, Hz in a MHz, cycles in a Gcycle
