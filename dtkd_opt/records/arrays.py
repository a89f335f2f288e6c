"""What arrays hold: numbers, positions, yes or no; shapes are where they are used."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
