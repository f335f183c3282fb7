"""The documentation site: what is on it was generated, executed or composed, and it builds without a warning."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from metasearch.config import compose
from metasearch.episodes import parse_mode
from metasearch.registry import registry
from tests.conftest import ROOT
from tests.test_docs import DOCUMENTS

if TYPE_CHECKING:
    import reference as reference_module

BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [page for page in DOCUMENTS if BLOCK.search(page.read_text(encoding="utf-8"))]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> reference_module:
    """What the hook generates the reference with."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    import reference

    return reference


# -- Python in the pages -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example_run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A run that stands for every run that a page speaks of."""
    import metasearch

    out = tmp_path_factory.mktemp("site") / "run"
    words = ("algo=maml", "mode='en_en -> en_de'", "data.languages=[de,en]", "train.tasks=2", "valid.tasks=0")
    metasearch.run(*words, f"encoder.model={tiny_model}", "eval.baseline=false", f"out={out}")
    return out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_a_page_runs(
    page: Path, example_run: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order and in one process, in an empty folder, with a tiny encoder in place of the default one."""
    from metasearch_plugins.registration import ENCODER_OPTIONS

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(ENCODER_OPTIONS["model"], "default", str(tiny_model))
    names: dict[str, object] = {"__name__": "__page__"}
    for skipped, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        program = compile(code.replace("builtin:multilingual-e5-small", str(tiny_model)), page.name, "exec")
        if skipped or "../shared/" in code:  # real data, which a clone does not have
            continue
        for run in re.findall(r'"(runs/[\w-]+)(?:/model)?"', code):  # what a page loads but did not make
            if not Path(run).exists() and f"out={run}" not in code:
                Path(run).parent.mkdir(exist_ok=True)
                Path(run).symlink_to(example_run)
        for file in re.findall(r"\A# (\w+/\w+\.py)\n", code):  # a file of a package that the page writes
            Path(file).parent.mkdir(exist_ok=True)
            Path(file).write_text(code, encoding="utf-8")
        exec(program, names)  # noqa: S102


def test_a_run_leaves_the_files_that_the_reference_names(example_run: Path) -> None:
    text = (ROOT / "docs" / "reference" / "run-folder.md").read_text(encoding="utf-8")
    for entry in example_run.iterdir():
        assert f"| `{entry.name}{'/' if entry.is_dir() else ''}` |" in text, entry.name


# -- which loss --------------------------------------------------------------------------------------------------------


def rows_of_which_loss() -> list[list[list[str]]]:
    """Rows of cells of alternatives, each alternative the words of one piece of code."""
    text = (ROOT / "docs" / "which-loss.md").read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ") and "`data=" in line]
    return [[found for cell in cells[1:] if (found := re.findall(r"`([^`]+=[^`]+)`", cell))] for cells in lines]


@pytest.mark.parametrize("cells", rows_of_which_loss(), ids=lambda cells: cells[0][0])
def test_what_a_row_says_goes_together(cells: list[list[str]]) -> None:
    for choice in itertools.product(*cells):
        config = compose(*(word for part in choice for word in shlex.split(part)))
        kind = config.kind
        assert config.components["loss"].load().kind == kind
        assert config.components["encoder"].load().kind == kind
        if config["mode"] and config["algo.name"] != "zero-shot":
            sets = config.components["algo"].load().sets
            assert sets in (None, parse_mode(config["mode"], kind).train.length)


def test_every_data_set_has_a_row() -> None:
    text = str(rows_of_which_loss())
    own = {"mini", "mini-sts"}  # come with the package: not what anybody has
    assert [name for name in registry.names("data") if name not in own and f"data={name}" not in text] == []


# -- generated reference -----------------------------------------------------------------------------------------------


def test_every_public_name_has_a_docstring(reference: reference_module) -> None:
    assert reference.undocumented() == []


def test_a_public_name_without_docstring_fails_the_build(reference: reference_module, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("silent", "A module.")
    exec("class Loud:\n    'Says.'\n    def method(self): ...\ndef function(): ...\n", vars(module))  # noqa: S102
    monkeypatch.setitem(sys.modules, "silent", module)
    monkeypatch.setattr(reference, "API", ("silent",))
    vars(module)["Loud"].__module__ = "metasearch.silent"
    module.__all__ = ["Loud", "function"]  # type: ignore[attr-defined]
    assert reference.undocumented() == ["silent.Loud.method", "silent.function"]
    with pytest.raises(ValueError, match="silent\\.function"):
        reference.filled("<!-- generated: api -->")


def test_the_command_line_page_has_every_command_and_option(reference: reference_module) -> None:
    text = reference.commands()
    for name, command in reference.all_commands():
        section = text.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            assert all(option in section for option in parameter.opts if option.startswith("-")), f"{name}: {parameter.name}"
    assert "## `metasearch run`" in text
    assert "## `metasearch plugins list`" in text


def test_the_component_page_has_every_component_and_option(reference: reference_module) -> None:
    text = reference.components()
    for item in registry:
        section = text.partition(f"### `{item.kind}={item.name}`\n")[2].partition("\n### ")[0]
        assert item.component.summary in section
        assert f"::: {item.component.target.replace(':', '.')}\n" in section
        assert all(f"`{item.kind}.{option}`" in section for option in item.component.options), item.name


def test_keys_show_what_presets_change(reference: reference_module) -> None:
    row = next(line for line in reference.keys().splitlines() if "`train.tasks`" in line)
    assert "| `7000`; authors-code: `7000`; best: `24`; paper: `7000`; quick: `12` |" in row


def test_markers_name_parts_that_there_are(reference: reference_module) -> None:
    asked = {name for page in DOCUMENTS for name in re.findall(r"<!-- generated: (\w+) -->", page.read_text(encoding="utf-8"))}
    assert asked == set(reference.PARTS)


# -- the site ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("mkdocs", "mkdocstrings", "latex2mathml"):
        pytest.importorskip(module, reason=f"{module} is missing: pip install -c constraints.txt -e '.[docs]', or make docs")
    folder = tmp_path_factory.mktemp("site") / "html"
    # Never with --quiet: warnings that are not logged are not counted by --strict.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", ".mkdocs.yml", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_formulas_are_drawn_without_a_script(site: Path) -> None:
    text = (site / "maml-align.html").read_text(encoding="utf-8")
    assert text.count("<math") > 20
    assert "arithmatex" not in text
    assert "$$" not in text


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text(encoding="utf-8")):
            assert not re.search(r'(?:src|href)="(?:https?:)?//', tag), f"{page.name}: {tag}"


def test_links_into_the_repository_lead_to_pages_of_the_site(site: Path) -> None:
    assert (site / "repository" / "index.html").is_file()  # README.md
    assert 'href="repository/plugins/datasets/mini/index.html"' in (site / "tutorial.html").read_text(encoding="utf-8")


def test_classes_and_hooks_are_on_their_pages(site: Path) -> None:
    assert 'id="metasearch.core.encoder.Encoder"' in (site / "api.html").read_text(encoding="utf-8")
    assert 'id="metasearch.registry.hookspecs.metasearch_register_loss"' in (site / "reference" / "hooks.html").read_text(
        encoding="utf-8"
    )
