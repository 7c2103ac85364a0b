from __future__ import annotations

from models.recently_used import RecentlyUsed


def test_what_was_not_used_for_longest_goes() -> None:
    memory: RecentlyUsed[str, int] = RecentlyUsed(2)
    memory.keep("a", 1)
    memory.keep("b", 2)
    assert memory.get("a") == 1  # used, so b is the oldest
    memory.keep("c", 3)
    assert memory.get("b") is None
    assert memory.values() == [1, 3]
    memory.keep("a", 4)  # known already: nothing has to go
    assert memory.values() == [4, 3]
