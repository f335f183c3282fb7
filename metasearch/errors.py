"""Errors that a user can do something about, each with the exit code it ends the command with.

Anything else that reaches the command line is a bug: it is shown in one line, with exit code 1, and
in full only with ``--verbose``.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Sequence

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_PLUGIN = 3
EXIT_INTERRUPTED = 130

_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EFBIG)
# Libraries wrap what the system said: safetensors an errno 28, PyTorch its allocator's.
_NO_SPACE = re.compile(r"No space left on device|StorageFull|\(os error (?:5|27|28|30|122)\)")
_NO_MEMORY = re.compile(r"CUDA out of memory|can't allocate memory|out of memory\b|Unable to allocate")


class MetasearchError(Exception):
    """Base of all errors with a message for the user. ``exit_code`` is the process's exit code."""

    exit_code = EXIT_FAILED


class ConfigError(MetasearchError):
    """A key, a value or a combination of them is wrong. The message names key, value and what is allowed."""

    exit_code = EXIT_USAGE


class DataError(MetasearchError):
    """A data file or folder is missing or malformed. The message names file and place."""

    exit_code = EXIT_USAGE


class ModelError(MetasearchError):
    """A model cannot be loaded or cannot do what the algorithm asks of it."""

    exit_code = EXIT_USAGE


class PluginError(MetasearchError):
    """A plugin could not be loaded, or two plugins claim one name."""

    exit_code = EXIT_PLUGIN


class TrainingError(MetasearchError):
    """The run failed while training, for example with a loss that is not finite."""


class NotFiniteError(TrainingError):
    """A loss or a gradient is infinite or not a number.

    Attributes:
        tasks: numbers of the tasks that caused it.
        updated: whether parameters have moved by it already, so that there is no going on.
    """

    def __init__(self, what: str, tasks: Sequence[int], updated: bool = False) -> None:
        super().__init__(what)
        self.tasks = list(tasks)
        self.updated = updated


class LostProcessError(TrainingError):
    """Another process of the run has ended, so that this one cannot go on."""


def fault(error: BaseException) -> str | None:
    """Say in words what of this machine has run out, and what to do; None where the error is something else.

    Args:
        error: what a library or the system raised: no space, no permission, no memory.
    """
    text = str(error)
    if (isinstance(error, OSError) and error.errno in _STORAGE) or _NO_SPACE.search(text):
        name = getattr(error, "filename", None)
        where = f"{name}: " if name else ""
        said = getattr(error, "strerror", None) or text
        return f"{where}{said}; what was written before is whole: mend that, and go on with metasearch run --resume DIR"
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        first = text.splitlines()[0] if text else "out of memory"
        return (
            f"{first[:200]}; in this order lower algo.keep_graphs to 0, encoder.max_candidate_length, sampler.support_size (or "
            "raise algo.support_parts) and eval.batch_size; on a GPU precision=bfloat16 helps too. algo.meta_batch_size does "
            "not: tasks run one after the other"
        )
    return None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``'did you mean a or b? '`` for the close matches of ``name``, or an empty string.

    Args:
        name: what was given.
        known: all names that would have been right.
    """
    close = difflib.get_close_matches(name, sorted(set(known)), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}? " if close else ""
