"""Read many images on several threads, in order, with bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_AHEAD = 4  # items in flight for each thread: bounds the memory

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def read_bounded(
    read: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    threads: int = 0,
    ahead: int = 0,
) -> Iterator[_Result]:
    """Give `read` of every item, in the items' order.

    However slowly the results are used, no more than `ahead` of them wait. What is
    still to be read is given up when the iterator is closed or an error ends it.

    Args:
        read: from an item, such as a position or a path, to what is wanted of it; runs
            on a thread. Its exceptions are raised where its result would be.
        items: taken as they are needed.
        threads: that read; 0 takes one for each core.
        ahead: results that are read before they are asked for; 0: four a thread.
    """
    threads = threads or os.cpu_count() or 1
    items = iter(items)
    waiting = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in islice(items, ahead or threads * _AHEAD):
                waiting.append(pool.submit(read, item))
            while waiting:
                result = waiting.popleft().result()
                for item in islice(items, 1):
                    waiting.append(pool.submit(read, item))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)
