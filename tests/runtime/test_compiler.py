"""torch's compiler, which would leave a folder in the temporary one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import os, torch
from dtkd_opt.runtime.compiler import import_compiler
import_compiler()
torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
print("TORCHINDUCTOR_CACHE_DIR" in os.environ)
"""


def test_an_optimizer_leaves_nothing_behind(tmp_path: Path) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path)}
    env.pop("TORCHINDUCTOR_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
    assert list(tmp_path.iterdir()) == []
