"""Work that waits for processes, several at a time: only for untimed work, to keep the machine busy."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from assay.jobs.process import end_all, end_with_the_rest, ending_all

Result = TypeVar("Result")
TURN_SECONDS = 0.02
"""The longest wait at a time. The main thread sleeps, and takes no lock meanwhile that a signal could leave locked."""


def side_by_side(work: Sequence[Callable[[], Result]], most: int) -> list[Result]:
    """Do all the work, at most so many pieces at once, and return the results in order.

    Raises:
        BaseException: the first failure, after the work under way has ended; work that had not begun is left. A signal
            ends the work under way at once, and none of it is kept as a result.
    """
    if most < 2 or len(work) < 2:
        return [one() for one in work]
    with ThreadPoolExecutor(most, thread_name_prefix="assay-job") as pool:
        under_way = [pool.submit(one) for one in work]
        ended = _ended(under_way)
        try:
            while not _is_over(ended, len(under_way)):
                time.sleep(TURN_SECONDS)
        except BaseException:
            _end(pool, ended, len(under_way))
            raise
        pool.shutdown(cancel_futures=True)
    failed = [one for one in under_way if not one.cancelled() and one.exception()]
    return [one.result() for one in failed or under_way]


def leave_if_ended() -> None:
    """For work beside others that is no process: end this thread where everything that goes on is being ended."""
    end_with_the_rest()


@contextmanager
def beside(work: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Do something while the block goes on, and wait for it at the block's end; then its result is there.

    Raises:
        BaseException: error of the work, at the end of the block. Where the block fails, or a signal comes, the work
            is ended at once.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="assay-beside") as pool:
        under_way = pool.submit(work)
        ended = _ended([under_way])
        try:
            yield under_way
            while not ended:
                time.sleep(TURN_SECONDS)
        except BaseException:
            _end(pool, ended, 1)
            raise
    under_way.result()


def _ended(under_way: Sequence[Future[Result]]) -> deque[Future[Result]]:
    """The pieces of work that have ended, in their order: empty as yet, filled by the threads that end them."""
    ended: deque[Future[Result]] = deque()
    for one in under_way:
        one.add_done_callback(ended.append)
    return ended


def _end(pool: ThreadPoolExecutor, ended: deque[Future[Result]], count: int) -> None:
    """End all the work at once; none of it begins any more."""
    with ending_all():
        pool.shutdown(wait=False, cancel_futures=True)
        while len(ended) < count:
            end_all()
            time.sleep(TURN_SECONDS)


def _is_over(ended: deque[Future[Result]], count: int) -> bool:
    """Return whether all work has ended, or a piece of it has failed."""
    return len(ended) == count or any(one.exception() for one in tuple(ended))
