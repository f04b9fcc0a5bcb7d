"""Work that waits for processes, several at a time: only for untimed work, to keep the machine busy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from assay.jobs.process import end_all, end_with_the_rest, ending_all

Result = TypeVar("Result")
TURN_SECONDS = 0.2
"""The longest wait at a time: when the main thread wakes, it notices a signal that another thread received."""


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
        try:
            while not _is_over(under_way):
                wait(under_way, timeout=TURN_SECONDS, return_when=FIRST_EXCEPTION)
        except BaseException:
            _end(pool, under_way)
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
        try:
            yield under_way
            while not under_way.done():
                wait([under_way], timeout=TURN_SECONDS)
        except BaseException:
            _end(pool, [under_way])
            raise
    under_way.result()


def _end(pool: ThreadPoolExecutor, under_way: Sequence[Future[Result]]) -> None:
    """End all the work at once; none of it begins any more."""
    with ending_all():
        pool.shutdown(wait=False, cancel_futures=True)
        while not all(one.done() for one in under_way):
            end_all()
            wait(under_way, timeout=TURN_SECONDS)


def _is_over(under_way: Sequence[Future[Result]]) -> bool:
    """Return whether all work has ended, or a piece of it has failed."""
    ended = [one for one in under_way if one.done()]
    return len(ended) == len(under_way) or any(one.exception() for one in ended)
