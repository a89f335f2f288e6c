"""PARENT ROLE ARGS…: a SuperLink or SuperNode that ends with its parent, whatever ends that.

Run as a file, so that nothing of this package is loaded.
"""

from __future__ import annotations

import sys
from importlib import import_module

_MODULES = {
    "superlink": "flwr.superlink.cli.flower_superlink",
    "supernode": "flwr.supernode.cli.flower_supernode",
}

if __name__ == "__main__":
    parent, role, *args = sys.argv[1:]
    import_module("flwr.supercore.app_utils").start_parent_process_monitor(int(parent))
    sys.argv = [f"flower-{role}", *args]
    getattr(import_module(_MODULES[role]), f"flower_{role}")()
