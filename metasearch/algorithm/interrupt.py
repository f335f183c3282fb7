"""Ctrl-C and the system's request to end, taken between two meta-batches instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def noted_interrupts(on_first: Callable[[], None], impatient: bool = True) -> Iterator[Callable[[], bool]]:
    """Note SIGINT and SIGTERM instead of stopping at once; a second one stops at once.

    In the middle of an update, half of the parameters have moved: nothing that could be gone on from. Outside the main thread,
    where Python delivers no signals, nothing is changed.

    Args:
        on_first: called when the first one comes, to tell the user.
        impatient: whether a second one stops at once; else it is ignored.

    Yields:
        A function that says whether one has come.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted and impatient:
            raise KeyboardInterrupt
        if not noted:
            noted.append(number)
            on_first()

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    # Who started us in the background may want Ctrl-C to be ignored; that stays so.
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heeded = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, note)
    try:
        yield lambda: bool(noted)
    finally:
        for number in heeded:
            signal.signal(number, before[number])
