"""Batches of vectors that are made while those before them are stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Batch = TypeVar("Batch")
Made = TypeVar("Made")


def make_ahead(
    batches: Iterable[Batch], make: Callable[[Batch], Made], ahead: int
) -> Generator[tuple[Batch, Made], None, None]:
    """Yield each batch with what was made of it, in their order.

    A thread makes up to `ahead` batches before they are asked for; with 0 each is made when it is asked for, in the
    caller's thread. What `make` raises is raised in the place of its batch. Close it: no batch is begun after that, and
    the one that is being made is waited for.
    """
    if not ahead:
        for batch in batches:
            yield batch, make(batch)
        return
    from concurrent.futures import ThreadPoolExecutor

    maker = ThreadPoolExecutor(1, "ahead")
    waiting: deque[tuple[Batch, Future[Made]]] = deque()
    try:
        for batch in batches:
            waiting.append((batch, maker.submit(make, batch)))
            if len(waiting) > ahead:
                first, made = waiting.popleft()
                yield first, made.result()
        while waiting:
            first, made = waiting.popleft()
            yield first, made.result()
    finally:
        maker.shutdown(cancel_futures=True)
