"""Work that waits for processes, several at a time: for what is not timed, so that a machine has something to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from assay.jobs.process import end_all, ending_all

Result = TypeVar("Result")
TURN_SECONDS = 0.2
"""The longest wait at a time: the main thread hears of a signal that another thread was given when it wakes."""


def side_by_side(work: Sequence[Callable[[], Result]], most: int) -> list[Result]:
    """Do all of it, at most so many at once, and give the results in order.

    Raises:
        BaseException: the first failure, when what was under way has ended; what had not begun is left. A signal ends
            what is under way at once, and nothing of it is kept as a result.
    """
    if most < 2 or len(work) < 2:
        return [one() for one in work]
    with ThreadPoolExecutor(most, thread_name_prefix="assay-job") as pool:
        under_way = [pool.submit(one) for one in work]
        try:
            while not _is_over(under_way):
                wait(under_way, timeout=TURN_SECONDS, return_when=FIRST_EXCEPTION)
        except BaseException:
            with ending_all():
                pool.shutdown(wait=False, cancel_futures=True)
                while not all(one.done() for one in under_way):
                    end_all()
                    wait(under_way, timeout=TURN_SECONDS)
            raise
        pool.shutdown(cancel_futures=True)
    failed = [one for one in under_way if not one.cancelled() and one.exception()]
    return [one.result() for one in failed or under_way]


def _is_over(under_way: Sequence[Future[Result]]) -> bool:
    """Whether all has ended, or one has failed."""
    ended = [one for one in under_way if one.done()]
    return len(ended) == len(under_way) or any(one.exception() for one in ended)
