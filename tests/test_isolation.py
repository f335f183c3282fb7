"""What a plugin does wrong stays its own trouble, seen through the real command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli, run_cli
from tests.test_registry import write_plugin

LONE = '''
"""A plugin that is one file."""
import torch

from metasearch import Component, Loss, hookimpl


class Hinge(Loss):
    """relu(gap - (s(q, p) - s(q, n))), averaged."""

    def __init__(self, gap=0.2):
        self.gap = gap

    def __call__(self, embeddings):
        s = embeddings.similarities()
        return torch.relu(self.gap - s[:, :1] + s[:, 1:]).mean()


@hookimpl
def metasearch_register_loss():
    gap = {"type": "number", "default": 0.2, "description": "The gap."}
    return [Component("hinge", f"{__name__}:Hinge", "A hinge.", {"gap": gap})]
'''

TAKES_OURS = """
    from metasearch import Component, Loss, hookimpl

    class Mine(Loss):
        def __init__(self, strength=1.0):
            if strength > 9:
                raise ZeroDivisionError("too strong")
        def __call__(self, embeddings):
            raise KeyError("not today")

    @hookimpl
    def metasearch_register_loss():
        option = {"type": "number", "default": 1.0, "description": "How much."}
        odd = {"type": "nubmer", "default": 1.0, "description": "How much."}
        return [
            Component("triplet", "NAME:Mine", "Takes a shipped name."),
            Component("mine", "NAME:Mine", "Fails when it is used.", {"strength": option}),
            Component("odd", "NAME:Mine", "Has no schema.", {"strength": odd}),
            Component("extra", "NAME:Mine", "Wants more.", requires=("not_there_at_all",), install="pip install not-there"),
        ]
"""

BROKEN = {
    "imports": "import not_there_at_all",
    "exits": "print('I am loud'); raise SystemExit(7)",
    "misspells": "from metasearch import hookimpl\n@hookimpl\ndef metasearch_register_looss():\n    return []\n",
    "forgets": "def metasearch_register_loss():\n    return []\n",
    "nonsense": "from metasearch import hookimpl\n@hookimpl\ndef metasearch_register_loss():\n    return 5\n",
    "twice": "from metasearch import Component, hookimpl\n@hookimpl\ndef metasearch_register_loss():\n"
    "    return [Component('a', 'm:A', 's'), Component('b', 'm:B', 's', aliases=('a',))]\n",
    "text": "from metasearch import Component, hookimpl\n@hookimpl\ndef metasearch_register_loss():\n"
    "    return [Component('a', 'm:A', 's', aliases='ab')]\n",
    "raises": "from metasearch import hookimpl\n@hookimpl\ndef metasearch_register_algo():\n    raise OSError('no')\n",
}


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A folder of installed plugins: eight that cannot be loaded, one that claims a shipped name."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name, source in BROKEN.items():
        write_plugin(folder, name, source)
    write_plugin(folder, "rival", TAKES_OURS)
    return folder


def test_the_list_shows_what_works_and_what_does_not(tmp_path: Path, plugins: Path) -> None:
    done = run_cli(tmp_path, "plugins", "list", "--json", PYTHONPATH=str(plugins))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)  # whatever plugins print
    states = {record["entry_point"]: record["state"] for record in found if record["state"] == "broken"}
    assert states == dict.fromkeys(BROKEN, "broken")
    by_name = {(r["distribution"], r["name"]): r["state"] for r in found}
    assert by_name["metasearch", "maml-align"] == "ready"
    assert by_name["metasearch", "triplet"] == "claimed by metasearch-rival 1.0 too: say loss=metasearch:triplet"
    assert by_name["metasearch-rival", "extra"] == "needs not_there_at_all: pip install not-there"


def test_everything_else_works(tmp_path: Path, plugins: Path) -> None:
    done = run_cli(tmp_path, "run", "--cfg", "--quiet", PYTHONPATH=str(plugins))
    assert done.returncode == 0, done.stderr
    assert "name: metasearch:triplet" in done.stdout  # our own default, not the rival's
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: plugin ")]
    assert len(warnings) == len(BROKEN)
    imports = next(w for w in warnings if "metasearch-imports" in w)
    assert imports == (
        'warning: plugin metasearch-imports 1.0 (entry point "imports") could not be loaded: ModuleNotFoundError: '
        "No module named 'not_there_at_all'. Its components are unavailable. Mend or reinstall it, or set "
        "METASEARCH_DISABLE_PLUGINS=imports. Full trace: --verbose"
    )
    assert "SystemExit: 7" in done.stderr
    assert "there is no hook 'metasearch_register_looss'; did you mean metasearch_register_loss" in done.stderr
    assert "metasearch_register_loss lacks the decorator @hookimpl" in done.stderr
    assert "'a' is registered twice" in done.stderr
    quiet = run_cli(
        tmp_path, "run", "--cfg", "--quiet", PYTHONPATH=str(plugins), METASEARCH_DISABLE_PLUGINS=",".join([*BROKEN, "rival"])
    )
    assert "warning" not in quiet.stderr
    assert "name: triplet" in quiet.stdout


def test_the_strict_switch(tmp_path: Path, plugins: Path) -> None:
    for words in (("plugins", "list"), ("run", "--cfg"), ("data", "describe", "mini")):
        done = run_cli(tmp_path, *words, PYTHONPATH=str(plugins), METASEARCH_STRICT_PLUGINS="1")
        assert done.returncode == 3, words
        assert "METASEARCH_STRICT_PLUGINS is set" in done.stderr
    assert run_cli(tmp_path, "plugins", "list", METASEARCH_STRICT_PLUGINS="1").returncode == 0


def test_only_what_is_asked_for(tmp_path: Path, plugins: Path) -> None:
    def loaded(switch: str) -> tuple[set[str], str]:
        done = run_cli(
            tmp_path,
            "plugins",
            "list",
            "--json",
            PYTHONPATH=str(plugins),
            METASEARCH_LOAD_PLUGINS=switch,
            METASEARCH_TRACE_PLUGINS="1",
        )
        assert done.returncode == 0, done.stderr
        return {record["distribution"] for record in json.loads(done.stdout)}, done.stdout + done.stderr

    assert loaded("")[0] == {"metasearch"}
    names, trace = loaded("rival")
    assert names == {"metasearch", "metasearch-rival"}
    assert "plugin metasearch-rival 1.0: loss=triplet, loss=mine" in trace
    names, said = loaded("rifal")
    assert names == {"metasearch", "rifal"}
    assert "METASEARCH_LOAD_PLUGINS names it, but no installed plugin is called so" in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("loss=triplet",), 3, "say which one: loss=metasearch:triplet or loss=metasearch-rival:triplet"),
        (("loss=odd",), 3, "the schema of its option 'strength' is not JSON Schema"),
        (("loss=mine", "loss.strength=10"), 3, "loss 'mine' of metasearch-rival 1.0 could not be made with the options"),
        (("loss=extra",), 1, "KeyError: 'not today' (in plugin metasearch-rival 1.0;"),
        (("loss=mine",), 1, "KeyError: 'not today' (in plugin metasearch-rival 1.0;"),
        (("loss=exits",), 2, "SystemExit: 7"),
    ],
)
def test_what_goes_wrong_later_names_the_plugin(
    tmp_path: Path, plugins: Path, tiny_model: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    run = ("run", "algo=fine-tune", f"encoder.model={tiny_model}", "out=r", "train.tasks=4")
    done = run_cli(tmp_path, *run, *words, PYTHONPATH=str(plugins))
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lone_file(cli: Cli, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "my_loss.py").write_text(LONE, encoding="utf-8")
    quick = (f"encoder.model={tiny_model}", "train.tasks=4", "valid.tasks=0", "eval.variants=[multi]", "eval.baseline=false")
    done = cli("run", "algo=fine-tune", "loss=hinge", "loss.gap=0.3", *quick, "out=r", METASEARCH_LOAD_PLUGINS="./my_loss.py")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text(encoding="utf-8"))
    provider = manifest["components"]["loss"]
    assert provider["distribution"] == str(tmp_path / "my_loss.py")
    assert len(provider["version"]) == 12
    without = cli("run", "loss=hinge", "--cfg")
    assert without.returncode == 2
    assert "no loss has this name" in without.stderr


def test_a_folder_and_files_that_are_none(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text(LONE.replace("import torch", "from mine_helper import torch"), "utf-8")
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "helper.py").write_text("import torch\n", encoding="utf-8")
    (tmp_path / "good" / "__init__.py").write_text(LONE.replace("import torch", "from .helper import torch"), "utf-8")
    done = cli("plugins", "list", "--json", METASEARCH_LOAD_PLUGINS="./mine/,gone.py,./good/")
    assert done.returncode == 0
    found = {Path(r["distribution"]).name: r["state"] for r in json.loads(done.stdout) if r["distribution"] != "metasearch"}
    assert found == {"mine": "broken", "gone.py": "broken", "good": "ready"}
    shown = cli("plugins", "list", METASEARCH_LOAD_PLUGINS="gone.py")
    assert f"no such file: {tmp_path / 'gone.py'}" in shown.stderr
    assert "Mend it, or take it out of METASEARCH_LOAD_PLUGINS" in shown.stderr
