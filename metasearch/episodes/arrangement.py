"""The notation of transfer modes: ``el_el -> el_ar -> el_{ar,el,hi} ; hi_hi -> hi_de -> hi_{ar,de,hi}``.

``x_y`` is question language x, candidate language y; braces mean "drawn from several"; ``->`` goes from a support set to
its query set (and on to the next); ``;`` separates alternatives, which tasks take in turn (paper, Table 4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metasearch.errors import ConfigError, did_you_mean

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")


@dataclass(frozen=True)
class Link:
    """Languages of one example set: an example draws one pair, then one candidate language per candidate.

    Attributes:
        pairs: alternatives of (question languages, candidate languages).
        text: as written.
    """

    pairs: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    text: str

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(language for pair in self.pairs for side in pair for language in side)


@dataclass(frozen=True)
class Chain:
    """One line of an arrangement: X -> X', or X -> Y -> Z."""

    links: tuple[Link, ...]

    def __str__(self) -> str:
        return " -> ".join(link.text for link in self.links)

    @property
    def languages(self) -> frozenset[str]:
        return frozenset().union(*(link.languages for link in self.links))


@dataclass(frozen=True)
class Arrangement:
    """The chains that tasks take in turn."""

    chains: tuple[Chain, ...]

    def __str__(self) -> str:
        return " ; ".join(str(chain) for chain in self.chains)

    @property
    def length(self) -> int:
        """Number of example sets of a task."""
        return len(self.chains[0].links)

    @property
    def languages(self) -> frozenset[str]:
        return frozenset().union(*(chain.languages for chain in self.chains))


@dataclass(frozen=True)
class Mode:
    """An arrangement per phase. ``name`` is the preset's name, or the text of a free arrangement."""

    name: str
    train: Arrangement
    valid: Arrangement
    test: Arrangement

    def arrangement(self, phase: str) -> Arrangement:
        """The arrangement of ``"train"``, ``"valid"`` or ``"test"``."""
        found: Arrangement = getattr(self, phase)
        return found

    @property
    def length(self) -> int:
        return self.train.length

    @property
    def languages(self) -> frozenset[str]:
        """Languages that training sees (meta-train and meta-valid): the few-shot languages."""
        return self.train.languages | self.valid.languages


# Paper, Table 4 (spec section 3). Values: one text for all phases, or one per phase (meta-train, meta-valid, meta-test).
_MONO_MONO = "el_el -> ar_ar ; hi_hi -> de_de"
_MONO_BI = "el_el -> el_ar ; hi_hi -> hi_de"
_MONO_MULTI = "el_el -> el_{ar,el} ; hi_hi -> hi_{de,hi}"
_BI_MULTI = "el_ar -> el_{ar,el} ; hi_de -> hi_{de,hi}"
_SAME = ("en_en", "ar_ar", "es_es")
MODES: dict[str, dict[str, str | tuple[str, str, str]]] = {
    "triplets": {
        "mono-mono": _MONO_MONO,
        "mono-bi": _MONO_BI,
        "mono-multi": _MONO_MULTI,
        "bi-multi": _BI_MULTI,
        "mixt": f"{_MONO_MONO} ; {_MONO_BI} ; {_MONO_MULTI} ; {_BI_MULTI}",
        "trans": (_MONO_BI, _BI_MULTI, _MONO_MULTI),
        "mono-bi-multi": "el_el -> el_ar -> el_{ar,el,hi} ; hi_hi -> hi_de -> hi_{ar,de,hi}",
    },
    "pairs": {
        # Support and query are never of the same language pair (the parentheses of Table 4).
        "mono-mono": " ; ".join(f"{support} -> {query}" for support in _SAME for query in _SAME if support != query),
        "mono-bi": "{en_en,ar_ar,es_es} -> {ar_en,es_en,tr_en}",
        "mono-bi-multi": "en_en -> ar_en -> en_{ar,en,es} ; ar_ar -> ar_es -> ar_{ar,en,es} ; es_es -> es_ar -> es_{ar,en,es}",
    },
}


def parse_mode(text: str, kind: str = "triplets") -> Mode:
    """Parse the name of a mode or an arrangement.

    Args:
        text: a key of :data:`MODES` for this kind of data, or an arrangement such as ``"en_en -> en_{ar,de}"``.
        kind: ``"triplets"`` or ``"pairs"``: the same name stands for other languages there.

    Raises:
        ConfigError: the text is neither; the message says where it goes wrong.

    Example:
        >>> str(parse_mode("mono-bi").train)
        'el_el -> el_ar ; hi_hi -> hi_de'
        >>> str(parse_mode("mono-bi", "pairs").train)
        '{en_en,ar_ar,es_es} -> {ar_en,es_en,tr_en}'
    """
    modes = MODES.get(kind, {})
    if text in modes:
        written = modes[text]
        phases = (written,) * 3 if isinstance(written, str) else written
        return Mode(text, *(parse_arrangement(phase) for phase in phases))
    if "_" not in text and "->" not in text:
        others = [other for other in MODES if text in MODES[other]]
        raise ConfigError(
            f"mode={text!r}: no such mode for {kind}; "
            + (f"it is one for {others[0]}; " if others else did_you_mean(text, modes))
            + f"known: {', '.join(modes)}; or an arrangement such as 'el_el -> el_{{ar,el}}'"
        )
    arrangement = parse_arrangement(text)
    return Mode(str(arrangement), arrangement, arrangement, arrangement)


def parse_arrangement(text: str) -> Arrangement:
    """Parse ``chain ; chain``, all chains of the same length (see :func:`parse_mode`)."""
    chains = tuple(Chain(tuple(_link(part, text) for part in line.split("->"))) for line in text.split(";") if line.strip())
    if not chains:
        raise ConfigError(f"mode={text!r}: an arrangement is empty; expected for example 'el_el -> el_ar'")
    lengths = {len(chain.links) for chain in chains}
    if len(lengths) > 1 or lengths == {1}:
        raise ConfigError(
            f"mode={text!r}: every line needs the same number of sets joined by '->', two or more; "
            f"found {', '.join(str(len(chain.links)) for chain in chains)}"
        )
    return Arrangement(chains)


def _link(part: str, text: str) -> Link:
    part = "".join(part.split())
    inside = part[1:-1] if part.startswith("{") and part.endswith("}") and "_" in part[1:-1] and "}_" not in part else ""
    alternatives = _outside_braces(inside) if inside else [part]
    return Link(tuple(_pair(alternative, text) for alternative in alternatives), part)


def _pair(written: str, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    question, underscore, candidate = written.partition("_")
    if not underscore:
        raise ConfigError(f"mode={text!r}: {written!r} is not question_candidate, for example el_ar or el_{{ar,el}}")
    return _languages(question, written, text), _languages(candidate, written, text)


def _languages(written: str, pair: str, text: str) -> tuple[str, ...]:
    braces = written.startswith("{") and written.endswith("}")
    languages = (written[1:-1] if braces else written).split(",") if braces or "," not in written else [written]
    for language in languages:
        if not _LANGUAGE.match(language):
            raise ConfigError(f"mode={text!r}: {language!r} in {pair!r} is not a language code such as el or pt-BR")
    if len(set(languages)) != len(languages):
        raise ConfigError(f"mode={text!r}: {pair!r} names a language twice")
    return tuple(languages)


def _outside_braces(text: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts
