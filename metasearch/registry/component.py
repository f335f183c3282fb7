"""The light record by which a plugin announces a component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Kind -> the interface its classes implement.
KINDS: dict[str, str] = {
    "encoder": "metasearch.core:Encoder",
    "algo": "metasearch.core:MetaAlgorithm",
    "sampler": "metasearch.core:EpisodeSampler",
    "loss": "metasearch.core:Loss",
    "data": "metasearch.core:Dataset",
    "metric": "metasearch.core:Metric",
    "index": "metasearch.core:Index",
}
# What a run is composed of: the config groups. An index is built of a model that a run left behind.
RUN_KINDS = tuple(kind for kind in KINDS if kind != "index")


@dataclass(frozen=True)
class Component:
    """One component: everything needed to list it, validate its options and, only then, import it.

    Attributes:
        name: what users type, ``algo=NAME``. Lower case, words joined by hyphens.
        target: ``"package.module:Class"``; imported only when the component is used.
        summary: one line for ``metasearch plugins list``.
        options: JSON Schema ``properties`` of its options. Each option is a keyword argument of the class, with the
            same default; every property needs ``default`` and ``description``.
        implies: settings of other groups that fit this component and hold unless a preset, a file or the command line says
            otherwise, for example ``{"mode": "mono-bi-multi"}``. A mapping gives the value for some algorithms, by name:
            ``{"mode": {"maml": "mono-bi"}}``.
        aliases: other names.
        requires: modules that must be importable, beside metasearch's own dependencies.
        install: the command that installs them.
    """

    name: str
    target: str
    summary: str
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    implies: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    install: str = ""

    def defaults(self) -> dict[str, Any]:
        """Option name -> default."""
        return {name: schema.get("default") for name, schema in self.options.items()}


@dataclass(frozen=True)
class Check:
    """One line of ``metasearch doctor``.

    Attributes:
        what: what was looked for.
        found: what was found, None where it is not there.
        hint: what to do then.
        optional: whether metasearch works without.
    """

    what: str
    found: str | None
    hint: str = ""
    optional: bool = False


@dataclass(frozen=True, order=True)
class Provider:
    """Who a component comes from.

    Attributes:
        distribution: the package; of a lone file, its path.
        version: of the package; of a lone file, the beginning of its SHA-256.
        entry_point: its name in the package; of a lone file, the file's name.
        is_file: whether it is a lone file that ``METASEARCH_LOAD_PLUGINS`` names.
    """

    distribution: str
    version: str
    entry_point: str
    is_file: bool = False

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()
