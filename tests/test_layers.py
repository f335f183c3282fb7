"""Imports go one way along the data's way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

ORDER = (
    "errors",
    "core",
    "registry",
    "config",
    "dataset",
    "episodes",
    "algorithm",
    "evaluation",
    "report",
    "prepare",
    "runner",
    "estimate",
    "sweep",
    "reproduce",
    "search",
    "mteb",
    "testing",
    "cli",
)


def imported(tree: ast.AST) -> list[str]:
    """Modules imported at run time: what stands under ``if TYPE_CHECKING`` does not count."""
    found: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        found += imported(node)
    return found


@pytest.mark.parametrize("layer", ORDER)
def test_a_layer_imports_only_those_before_it(layer: str) -> None:
    root = ROOT / "metasearch"
    files = list((root / layer).rglob("*.py")) or [root / f"{layer}.py"]
    for file in files:
        for module in imported(ast.parse(Path(file).read_text(encoding="utf-8"))):
            parts = module.split(".")
            if parts[0] == "metasearch" and len(parts) > 1:
                assert ORDER.index(parts[1]) <= ORDER.index(layer), f"{file.relative_to(ROOT)} imports {module}"
