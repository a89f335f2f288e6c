"""Where the repository's files are."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
INSTANCES = ROOT / "instances"
DATA = ROOT / "tests" / "data"
