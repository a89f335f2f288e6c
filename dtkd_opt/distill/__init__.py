"""Distillation: data, teacher, students and their training, and the calibration of accuracies.

`calibrate` measures what instances call accuracy; `load_data`, `load_teacher`, `build_network`,
`train` and `predict`, each in its module, are also what `federate` carries plans out with. Every
module needs the extra `train`; without it, importing any says so.
"""

from __future__ import annotations

from dtkd_opt.errors import InputError

try:
    import safetensors  # noqa: F401
    import torch  # noqa: F401
except ImportError as error:
    fault = f'needs {error.name}: pip install "dtkd-opt[train]"'
    raise InputError("distillation", [fault]) from None
