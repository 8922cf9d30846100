"""Giving way: only inside the block that offers it, and in the thread that entered it."""

import threading

from backend.contract.progress import give_way, giving_way


def test_giving_way_is_of_one_block_and_one_thread() -> None:
    passed: list[str] = []
    give_way()
    with giving_way(lambda: passed.append("outer")):
        give_way()
        with giving_way(lambda: passed.append("inner")):
            give_way()
        thread = threading.Thread(target=give_way)
        thread.start()
        thread.join()
        give_way()
    give_way()
    assert passed == ["outer", "inner", "outer"]
