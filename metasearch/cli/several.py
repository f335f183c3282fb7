"""A command in one of several processes that ``torchrun`` has started: they begin, fail and end together."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TextIO

from metasearch.algorithm.interrupt import SIGNALS
from metasearch.cli.app import explain
from metasearch.core.ranks import Ranks, join, of_torchrun
from metasearch.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, ConfigError, LostProcessError, MetasearchError

SHARED = ("run", "evaluate", "reproduce")
# torchrun kills without a word 30 seconds after it has asked a process to end.
_HEED_WITHIN = 20.0


def run_together(words: list[str], command: Callable[..., object]) -> None:
    """Run the command together with the other processes and end this one; return if it is the only one.

    Args:
        words: the command line.
        command: runs it, and ends with SystemExit.
    """
    if not of_torchrun():
        return
    _refuse(words)
    with join() as ranks:
        code = _run(ranks, words, command)
        if code:
            _end(code)
    raise SystemExit(EXIT_DONE)


def _run(ranks: Ranks, words: list[str], command: Callable[..., object]) -> int:
    """Run the command, and see to it that one process tells what has gone wrong; the exit code."""
    terminal = sys.stderr
    _heed_signals(ranks, terminal)
    if not ranks.first:  # what it would say, the first says
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        warnings.simplefilter("ignore")
    try:
        with ranks.together():
            _to_success(words, command)
    except LostProcessError as error:
        _tell(error, ranks, terminal)
        return error.exit_code
    except SystemExit as end:  # wrong usage, or interrupted
        code = end.code if isinstance(end.code, int) else EXIT_FAILED
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except Exception as error:
        explain(error)
        code = error.exit_code if isinstance(error, MetasearchError) else EXIT_FAILED
    else:
        return EXIT_DONE
    if ranks.first:
        ranks.first_to_tell()
    else:
        ranks.wait_until_told()
    return code


def _to_success(words: list[str], command: Callable[..., object]) -> None:
    """Run the command; SystemExit only if it was not successful."""
    try:
        command(words, prog_name="metasearch")
    except SystemExit as end:
        if end.code:
            raise


def _end(code: int) -> None:
    """End at once: what libraries do at the end of a process may wait for processes that are gone."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _tell(error: LostProcessError, ranks: Ranks, terminal: TextIO) -> None:
    """Any process that is left says that one is gone, which may be the first."""
    if ranks.first_to_tell():
        print(f"error: {error}", file=terminal, flush=True)


def _refuse(words: list[str]) -> None:
    name = next((word for word in words if not word.startswith("-")), "")
    if name not in SHARED or "--cfg" in words:
        what = "run --cfg" if name in SHARED else name
        if os.environ["RANK"] == "0":
            raise ConfigError(f"{what}: takes one process; start it without torchrun")
        raise SystemExit(ConfigError.exit_code)


def _heed_signals(ranks: Ranks, terminal: TextIO) -> None:
    """End on SIGINT and SIGTERM, which torchrun sends to all others when a process has died.

    In training they are noted until the meta-batch is done. A process deep in a computation, or in an exchange with one that is
    gone, would hear of neither, so a thread sees to it that it ends.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:  # they come more than once
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise ranks.lost()

    def watch() -> None:
        with reader, writer:  # open as long as this waits
            while reader.recv(1)[0] not in SIGNALS:
                pass
        time.sleep(_HEED_WITHIN)
        _tell(ranks.lost(), ranks, terminal)
        os._exit(EXIT_FAILED)

    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
