"""Text of others, for a terminal."""

from __future__ import annotations

import re

# C0, delete and C1; line and paragraph separators; embeddings, overrides and isolates of direction; halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Text from data for a terminal: what could rewrite the screen (control characters, direction overrides) becomes ``\u001b``.

    Example:
        >>> print(printable("a\x1b[2Jb"))
        a\u001b[2Jb
    """
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
