"""``metasearch plugins list`` and ``metasearch plugins show``."""

from __future__ import annotations

from typing import Any

from metasearch.cli import console
from metasearch.config.compose import allowed, spoken
from metasearch.config.schema import component_options
from metasearch.registry import Registered, registry
from metasearch.registry.registry import warnings_of_broken


def _state(item: Registered) -> str:
    if item.missing:
        return f"needs {', '.join(item.missing)}: {item.component.install}"
    rivals = registry.claims(item)
    if rivals:
        others = " and ".join(sorted({str(rival.provider) for rival in rivals}))
        return f"claimed by {others} too: say {item.kind}={item.provider.distribution}:{item.name}"
    return "ready"


def _record(item: Registered) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "name": item.name,
        "aliases": list(item.component.aliases),
        "summary": item.component.summary,
        "distribution": item.provider.distribution,
        "version": item.provider.version,
        "entry_point": item.provider.entry_point,
        "class": item.component.target,
        "state": _state(item),
    }


def list_components(as_json: bool) -> None:
    records = [_record(item) for item in registry]
    broken = [
        {
            "kind": None,
            "name": None,
            "summary": b.cause,
            "distribution": b.provider.distribution,
            "version": b.provider.version,
            "entry_point": b.provider.entry_point,
            "state": "broken",
        }
        for b in registry.broken
    ]
    if as_json:
        console.print_json([*records, *broken])
    else:
        _show_list(records, broken)
    registry.check_strict()


def _show_list(records: list[dict[str, Any]], broken: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table()
    for name in ("kind", "name", "what it is", "from", "state"):
        table.add_column(name, overflow="fold")
    for record in records:
        provider = f"{record['distribution']} {record['version']}"
        table.add_row(record["kind"], record["name"], record["summary"], provider, record["state"])
    for record in broken:
        table.add_row("", record["entry_point"], record["summary"], f"{record['distribution']} {record['version']}", "broken")
    console.out().print(table)
    for warning in warnings_of_broken(registry):
        console.warn(warning)


def show_component(kind: str, name: str, as_json: bool) -> None:
    item = registry.find(kind, name)
    options = component_options(item)
    if as_json:
        console.print_json({**_record(item), "implies": dict(item.component.implies), "options": options})
        return
    from rich.table import Table

    output = console.out()
    output.print(f"{kind}={item.name}: {item.component.summary}", markup=False)
    output.print(f"{item.component.target}, from {item.provider} ({_state(item)})", markup=False)
    for key, value in item.component.implies.items():
        output.print(f"brings {key}={value} unless told otherwise", markup=False)
    table = Table()
    for column in ("key", "default", "allowed", "what it does"):
        table.add_column(column, overflow="fold")
    for option, schema in options.items():
        default = spoken(schema["default"])
        table.add_row(f"{kind}.{option}", default, allowed(schema), schema.get("description", ""))
    if options:
        output.print(table)
    else:
        output.print("It has no options.")
