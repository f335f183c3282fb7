"""What mkdocs cannot do by itself: generated reference, formulas without a script, links to files outside ``docs/``.

Formulas stand in the pages as ``$...$`` and ``$$...$$``; they become MathML when the site is built, which browsers draw
themselves: no script, no font and no network is needed to read the site.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

import reference
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
# Files of the repository outside docs/ that pages link to are copied into this folder of the site, pages as pages.
OUTSIDE = "repository"
_LINK = re.compile(r"(?<=\]\()([^)#:\s]+)")
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside ``docs/`` that pages lead to, directly or by way of each other."""
    waiting = [file for file in files if file.is_documentation_page()]
    while waiting:
        page = waiting.pop()
        for target in _LINK.findall(page.content_string):
            place = _repository_file(page.src_uri, target)
            if place is None or files.get_file_from_path(_site_file(place)):
                continue
            added = File.generated(config, _site_file(place), abs_src_path=str(ROOT / place))
            files.append(added)
            if added.is_documentation_page():
                waiting.append(added)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Fill in what is generated, and turn links into the repository into links into the site."""

    def linked(match: re.Match[str]) -> str:
        place = _repository_file(page.file.src_uri, match.group(1))
        return posixpath.relpath(_site_file(place), posixpath.dirname(page.file.src_uri)) if place else match.group(1)

    return _LINK.sub(linked, reference.filled(markdown))


def on_page_content(html_: str, page: Any, config: Any, files: Files) -> str:
    """Turn formulas into MathML."""
    return _FORMULA.sub(lambda match: _mathml(match.group(2), "inline" if match.group(1) == "span" else "block"), html_)


def _mathml(formula: str, display: str) -> str:
    return str(convert(html.unescape(formula).strip(), display=display))


def _repository_file(page: str, target: str) -> str | None:
    """The file, from the root of the repository, that a link in a page of the site means; None: there is none."""
    here = page.removeprefix(f"{OUTSIDE}/") if page.startswith(f"{OUTSIDE}/") else f"docs/{page}"
    place = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    return place if (ROOT / place).is_file() and not place.startswith("..") else None


def _site_file(place: str) -> str:
    """Where a file of the repository lies in the site's sources."""
    return place.removeprefix("docs/") if place.startswith("docs/") else f"{OUTSIDE}/{place}"
