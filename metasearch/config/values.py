"""Typed values as users write them: ``null``, booleans, numbers, lists, dictionaries, quoted and plain strings.

Not YAML: there ``1e-3`` is a string and ``no`` (Norwegian) is false.
"""

from __future__ import annotations

import re
from typing import Any

from metasearch.errors import ConfigError

_INT = re.compile(r"[+-]?[0-9]+\Z")
_FLOAT = re.compile(r"[+-]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][+-]?[0-9]+)?\Z")
DEEPEST = 20  # brackets inside each other; no setting has more than two
_WORDS = {"null": None, "true": True, "false": False}
_OPEN = {"[": "]", "{": "}", "(": ")"}


def parse_value(text: str) -> Any:
    """Parse one value.

    Example:
        >>> parse_value("1e-3"), parse_value("[ar, de]"), parse_value("null"), parse_value("el_{ar,el}")
        (0.001, ['ar', 'de'], None, 'el_{ar,el}')

    Raises:
        ConfigError: brackets or quotes are not closed, or brackets stand too deep inside each other, or a number has thousands
            of digits.
    """
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text.startswith("[") and text.endswith("]"):
        return [parse_value(part) for part in split_top(text[1:-1], ",")]
    if text.startswith("{") and text.endswith("}") and ":" in text:
        pairs = [split_top(part, ":", 1) for part in split_top(text[1:-1], ",")]
        if any(len(pair) != 2 for pair in pairs):
            raise ConfigError(f"value {text!r}: a dictionary is written {{key: value, key: value}}")
        return {str(parse_value(key)): parse_value(value) for key, value in pairs}
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.match(text):
        try:
            return int(text)
        except ValueError as error:  # thousands of digits
            raise ConfigError(f"value {text[:20]}...: a number of {len(text)} digits") from error
    if _FLOAT.match(text):
        return float(text)
    return text


def split_top(text: str, separator: str, most: int = -1) -> list[str]:
    """Split at separators that stand outside brackets and quotes; no empty list for an empty text.

    Raises:
        ConfigError: brackets or quotes are not closed, or brackets stand too deep inside each other.
    """
    parts: list[str] = []
    closing: list[str] = []
    quote = ""
    start = 0
    for i, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and (i == start or text[start:i].strip() == "" or closing):
            quote = char
        elif char in _OPEN:
            closing.append(_OPEN[char])
            if len(closing) > DEEPEST:
                raise ConfigError(f"value {text!r}: more than {DEEPEST} brackets inside each other")
        elif char in _OPEN.values():
            if not closing or closing.pop() != char:
                raise ConfigError(f"value {text!r}: {char!r} at character {i + 1} closes nothing")
        elif char == separator and not closing and most != 0:
            parts.append(text[start:i])
            start = i + 1
            most -= 1
    if quote or closing:
        raise ConfigError(f"value {text!r}: {quote or closing[-1]!r} is missing at the end")
    rest = text[start:]
    return [*parts, rest] if parts or rest.strip() else []
