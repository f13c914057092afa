r"""The graph to cut, and its best cut by trying all of them.

The prism: two triangles joined by three rungs. No cut takes all three edges of a triangle, so the best one
cuts 7 of the 9 edges.

    0 -------- 3
    | \      / |
    |  2 -- 5  |
    | /      \ |
    1 -------- 4

A cut is a string of 0 and 1: the side of node 0 first.
"""

from __future__ import annotations

from itertools import product

NODES = 6
EDGES = ((0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (0, 3), (1, 4), (2, 5))


def cut_size(sides: str) -> int:
    """Return how many edges go from one side to the other."""
    return sum(sides[a] != sides[b] for a, b in EDGES)


def maximum_cut() -> int:
    """Return the size of the best of all 2^6 cuts."""
    return max(cut_size("".join(sides)) for sides in product("01", repeat=NODES))
