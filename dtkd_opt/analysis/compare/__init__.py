"""Methods compared, each run checked and kept as it ends: `compare` and its `Comparison`."""

from dtkd_opt.analysis.compare.comparison import Comparison as Comparison
from dtkd_opt.analysis.compare.comparison import compare as compare
