from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from shapely import Polygon, box

from toolkit.data.rings import join_rings


def test_two_squares_are_joined_over_the_shortest_way() -> None:
    first = np.array([(0, 0), (2, 0), (2, 2), (0, 2)], float)
    second = np.array([(9, 9), (5, 9), (5, 3), (9, 3)], float)
    path = join_rings([first, second])
    assert path.tolist() == [
        [0, 0],
        [2, 0],
        [2, 2],  # across …
        [5, 3],
        [9, 3],
        [9, 9],
        [5, 9],
        [5, 3],
        [2, 2],  # … and back
        [0, 2],
    ]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=6))
def test_the_area_is_the_sum_of_the_rings(sizes: list[tuple[int, int]]) -> None:
    squares = [box(6 * i, (7 * i) % 5, 6 * i + w, (7 * i) % 5 + h) for i, (w, h) in enumerate(sizes)]
    path = join_rings([np.asarray(square.exterior.coords)[:-1] for square in squares])
    assert len(path) == sum(4 for _ in squares) + 2 * (len(squares) - 1)
    # The shoelace sum counts what lies on either side of a bridge once: bridges enclose nothing.
    assert abs(Polygon(path).area - sum(square.area for square in squares)) < 1e-9
