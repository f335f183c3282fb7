"""What the manifest says, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metasearch.report.checked_json import dig, is_number, is_whole
from metasearch.report.result_table import spoken_time
from metasearch.report.run_files import Run


@dataclass(frozen=True)
class Fact:
    """A line of the manifest as shown; ``code``: to be read letter by letter."""

    name: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class Stage:
    """Time that a stage took, and its share of all in percent."""

    name: str
    shown: str
    percent: str


def facts(run: Run) -> list[Fact]:
    """What the run was made with, as far as the manifest says."""

    def said(*keys: str) -> Any:
        return dig(run.manifest, *keys)

    def measured(unit: str, *keys: str) -> str | None:
        value = said(*keys)
        return f"{value:,} {unit}" if is_number(value) else None

    def joined(*values: Any, by: str = " · ") -> str:
        return by.join(str(value) for value in values if value is not None)

    seen, packages = said("languages_seen"), said("packages")
    versions = packages if isinstance(packages, dict) else {}
    python = None if said("python") is None else f"Python {said('python')}"
    gpu = said("hardware", "gpu", "name"), measured("GiB", "hardware", "gpu", "memory_gib")
    threads = (measured(unit, "hardware", unit) for unit in ("cores", "threads"))
    size = measured("parameters", "encoder", "parameters"), measured("dimensions", "encoder", "dimension")
    table = [
        Fact("command", joined(said("command")), code=True),
        Fact("started", joined(said("started"))),
        Fact("seed", joined(said("seed"))),
        Fact("data", joined(run.data, *_counts(said("data", "languages")))),
        Fact("data fingerprint", joined(run.fingerprint), code=True),
        Fact("encoder", joined(said("encoder", "model"), *size)),
        Fact("trained on", (joined(*seen, by=", ") or "nothing") if isinstance(seen, list) else ""),
        Fact("device", joined(said("hardware", "device"), *gpu)),
        Fact("machine", joined(said("hardware", "processor"), said("hardware", "platform"), *threads)),
        Fact("versions", joined(python, *(f"{name} {version}" for name, version in versions.items() if version), by=", ")),
        Fact("git", joined(said("git", "commit")) + (" with changes" if said("git", "changed") else ""), code=True),
    ]
    return [fact for fact in table if fact.value]


def _counts(languages: Any) -> list[str]:
    """How much data there was, all languages together."""
    if not isinstance(languages, dict):
        return []
    sums: dict[str, int] = {}
    for counts in languages.values():
        for what, count in counts.items() if isinstance(counts, dict) else ():
            if is_whole(count):
                sums[what] = sums.get(what, 0) + count
    return [f"{len(languages)} languages", *(f"{count:,} {what}" for what, count in sums.items())]


def stages(timings: Mapping[str, float]) -> list[Stage]:
    """Time per stage."""
    total = sum(timings.values())
    return [
        Stage(name.replace("_", " "), shown_time(seconds), f"{100 * seconds / total:.1f}" if total > 0 else "0")
        for name, seconds in timings.items()
    ]


def shown_time(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> [shown_time(s) for s in (0.04, 4.2, 95, 3700)]
        ['0.04 s', '4.2 s', '1 min 35 s', '1 h 1 min']
    """
    if seconds < 1:
        return f"{seconds:.2g} s"
    return f"{seconds:.1f} s" if seconds < 59.95 else spoken_time(seconds)
