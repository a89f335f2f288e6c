"""The numbers of nodes that branching splits."""

from __future__ import annotations

import numpy as np

from dtkd_opt.methods.proof_tree import OptionSplit, ProofTree


def test_a_split_leaves_two_open_nodes_with_the_next_numbers() -> None:
    tree = ProofTree()
    assert tree.split(0, 4, np.array([7, 9])) == (1, 2)
    assert tree.split(2, 1, np.array([3])) == (3, 4)
    root, first, second, *rest = tree.nodes
    assert isinstance(root, OptionSplit)
    assert (root.user, root.options.tolist(), root.inside, root.outside) == (4, [7, 9], 1, 2)
    assert isinstance(second, OptionSplit)
    assert (second.inside, second.outside) == (3, 4)
    assert (first, rest) == (None, [None, None])
