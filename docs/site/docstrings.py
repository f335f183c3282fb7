"""Docstrings are written for people who read source; here they are made ready for the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|func|mod|attr|data):`(~?)([^`]+)`")
_EXAMPLE = re.compile(r"^Example:\n((?:(?: {4}.*)?\n?)+)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites every docstring that is read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called by griffe for each package that is no part of another."""
        self.on_object(obj=pkg)

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for each module in a package, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = _EXAMPLE.sub(_examples, _ROLE.sub(_link, obj.docstring.value))


def _link(match: re.Match[str]) -> str:
    """A role of Sphinx, ``:class:`metasearch.core.Encoder```, as a link."""
    short, name = match.groups()
    shown = name.rpartition(".")[2] if short else name
    # Optional: what is not on any page stays plain text.
    return f'<autoref optional identifier="{name}"><code>{shown}</code></autoref>'


def _examples(match: re.Match[str]) -> str:
    """An example as code: griffe knows a section Examples, and in it code that begins with ``>>>``."""
    body = match.group(1)
    if ">>>" in body:
        return f"Examples:\n{body}"
    return f"Examples:\n    ```python\n{body.rstrip()}\n    ```\n"
