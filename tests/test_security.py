"""What docs/security.md promises: no code out of files, no path out of its folder, no text that acts."""

from __future__ import annotations

import ast
import functools
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_inputs.models import harmful_pickle
from tests.conftest import ROOT, Cli

# Clear the screen; a link; a title and a bell; C1's form of a sequence; override and isolate of direction; line ends of Unicode.
ACTS = "\x1b[2J\x1b]8;;http://x\x1b\\\x1b]0;x\x07\x9b2J\x85\x7f\u202e\u2066\u2028"
SHOWN = r"\u001b[2J\u001b]8;;http://x\u001b\\u001b]0;x\u0007\u009b2J\u0085\u007f\u202e\u2066\u2028"
RAW = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@functools.cache
def sources() -> dict[str, list[ast.AST]]:
    """File -> all nodes of its source."""
    files = [file for folder in ("metasearch", "plugins") for file in sorted((ROOT / folder).rglob("*.py"))]
    return {str(f.relative_to(ROOT)): list(ast.walk(ast.parse(f.read_text(encoding="utf-8")))) for f in files}


# -- code out of files -----------------------------------------------------------------------------------------------------------


def calls() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every call in our code: file, what is called, its keyword arguments as written."""
    for file, nodes in sources().items():
        for node in nodes:
            if isinstance(node, ast.Call):
                yield file, ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}


def test_nothing_that_is_read_can_run_code() -> None:
    found = list(calls())
    names = {name for _, name, _ in found}
    forbidden = {
        "eval",
        "exec",
        "compile",
        "pickle.load",
        "pickle.loads",
        "joblib.load",
        "marshal.loads",
        "shelve.open",
        "os.system",
    }
    assert not names & forbidden
    assert all(keywords.get("allow_pickle") == "False" for _, name, keywords in found if name in ("np.load", "np.save"))
    assert all(keywords.get("weights_only") == "True" for _, name, keywords in found if name == "torch.load")
    assert [file for file, name, _ in found if name.startswith("yaml.") and "load" in name] == ["metasearch/config/files.py"]
    assert all(keywords.get("trust_remote_code", "False") == "False" for _, _, keywords in found)
    assert all(keywords.get("shell", "False") == "False" for _, _, keywords in found)


def test_no_archive_is_unpacked() -> None:
    nodes = [node for nodes in sources().values() for node in nodes]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    assert not imported & {"zipfile", "tarfile", "lzma", "bz2", "gzip"}
    assert "unpack_archive" not in {name.rpartition(".")[2] for _, name, _ in calls()}


def test_yaml_builds_plain_data_only() -> None:
    import yaml

    from metasearch.config.files import _Loader

    assert issubclass(_Loader, yaml.SafeLoader)
    assert not [tag for tag in (*_Loader.yaml_constructors, *_Loader.yaml_multi_constructors) if tag and "python" in tag]


def test_no_setting_trusts_code() -> None:
    from metasearch.config.schema import COMMON, FIXED
    from metasearch.registry import registry

    options = {option for item in registry for option in item.component.options}
    keys = {*options, *FIXED, *(key for group in COMMON.values() for key in group)}
    assert not [key for key in keys if re.search("trust|remote|code|pickle|weights_only|exec", key)]


def test_models_are_loaded_without_their_code(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sentence_transformers

    from metasearch_plugins.encoders.sentence_encoder import load_sentence_transformer

    asked: list[dict[str, Any]] = []
    real = sentence_transformers.SentenceTransformer

    def spy(*words: Any, **options: Any) -> Any:
        asked.append(options)
        return real(*words, **options)

    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", spy)
    load_sentence_transformer(str(tiny_model))
    assert [(o["trust_remote_code"], o["model_kwargs"]) for o in asked] == [(False, {"weights_only": True})]


def test_the_harm_in_the_tests_is_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.load(io.BytesIO(harmful_pickle()), weights_only=False)
    assert (tmp_path / "broken").exists()


def test_a_pickle_of_tensors_alone_is_loaded(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from metasearch_plugins.encoders.sentence_encoder import load_sentence_transformer

    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    weights = load_file(str(model / "model.safetensors"))
    (model / "model.safetensors").unlink()
    torch.save(weights, model / "pytorch_model.bin")
    found = load_sentence_transformer(str(model)).encode(["tea"])
    assert (found == load_sentence_transformer(str(tiny_model)).encode(["tea"])).all()


def test_what_is_saved_asks_for_nothing(tiny_model: Path, tmp_path: Path) -> None:
    from metasearch_plugins.encoders.triplet import TripletEncoder

    TripletEncoder(str(tiny_model)).save(tmp_path / "model", "card\n")
    settings = "".join(file.read_text(encoding="utf-8") for file in sorted((tmp_path / "model").rglob("*.json")))
    assert "weights_only" not in settings
    assert "trust_remote_code" not in settings


# -- texts that act --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A data set whose file name, ids and texts all act on a terminal."""
    file = tmp_path / f"{ACTS.replace('/', '')}.jsonl"
    rows = [{"anchor": f"a{ACTS}", "positive": f"p{ACTS}", "id": f"1{ACTS}"}, {"anchor": " ", "positive": "p", "id": ACTS}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_describe_shows_texts_and_names_plainly(cli: Cli, hostile: Path) -> None:
    done = cli("data", "describe", hostile.name)
    assert done.returncode == 0, done.stderr
    assert not RAW.search(done.stdout + done.stderr)
    assert SHOWN.replace("/", "") in done.stdout
    listed = cli("data", "describe", hostile.name, "--json").stdout
    assert not RAW.search(listed)
    assert json.loads(listed)["problems"][0]["file"] == hostile.name  # escaped, but the same text


def test_errors_show_texts_and_names_plainly(cli: Cli, hostile: Path) -> None:
    hostile.write_text('{"anchor": "a"}\n', encoding="utf-8")
    for words in (("data", "describe", hostile.name), ("--verbose", "data", "describe", hostile.name)):
        done = cli(*words)
        assert done.returncode == 2
        assert not RAW.search(done.stdout + done.stderr)
        assert SHOWN.replace("/", "") in done.stderr


def test_configurations_are_shown_plainly(cli: Cli, tmp_path: Path) -> None:
    from metasearch.config import compose

    evil = ACTS.replace("'", "")
    (tmp_path / "c.yaml").write_text(compose().to_yaml(out=evil), encoding="utf-8")
    for words in (["--cfg", "--quiet"], ["--cfg", "-m"]):
        done = cli("run", "--config", "c.yaml", *words)
        assert done.returncode == 0, done.stderr
        assert not RAW.search(done.stdout + done.stderr)
    shown = cli("run", "--config", "c.yaml", "--cfg", "--quiet").stdout
    (tmp_path / "again.yaml").write_text(shown, encoding="utf-8")
    assert compose(file=tmp_path / "again.yaml")["out"] == evil


def test_plugins_are_listed_plainly(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(
        "from metasearch.registry import Component, hookimpl\n\n\n@hookimpl\ndef metasearch_register_loss():\n"
        f"    return [Component('good', 'a:B', {ACTS + '[red]:smile:'!a}, options={{'o': {{'default': {ACTS!a}}}}})]\n",
        encoding="utf-8",
    )
    (tmp_path / "bad.py").write_text(f"raise ValueError({ACTS!a})\n", encoding="utf-8")
    for words in (["list"], ["list", "--json"], ["show", "loss", "good"], ["show", "loss", "good", "--json"]):
        done = cli("plugins", *words, METASEARCH_LOAD_PLUGINS="./good.py,./bad.py", COLUMNS="400")
        assert done.returncode == 0, done.stderr
        assert not RAW.search(done.stdout + done.stderr), words
        assert "[red]:smile:" in done.stdout  # and no markup is read into a text


def test_runs_are_compared_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from metasearch.cli.app import main
    from tests.test_report import hostile_run

    runs = [hostile_run(tmp_path / f"{i} {ACTS.replace('/', '')}[red]", ACTS) for i in range(2)]
    monkeypatch.chdir(tmp_path)
    for words in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["compare", *(run.name for run in runs), *words])
        told = capsys.readouterr()
        assert not ended.value.code, told.err
        assert not RAW.search(told.out + told.err)
        assert "[red]" in told.out


@pytest.mark.parametrize("method", ["say", "warn"])
def test_progress_on_a_terminal_is_plain(method: str) -> None:
    from metasearch.cli.console import BarReporter

    reporter = BarReporter()
    reporter.console.file = written = io.StringIO()
    reporter.console._force_terminal = True
    getattr(reporter, method)(f"{ACTS}[red]:smile:")
    with reporter.stage(f"[red]{'x'}", 1) as stage:
        stage.advance(1)
    assert "\x1b[2J" not in written.getvalue()
    assert "\u202e" not in written.getvalue()
    assert "".join(written.getvalue().split()).count("[red]") >= 2


def test_messages_of_megabytes_are_cut() -> None:
    from metasearch.cli.console import told

    assert len(told("place: " + "x" * 10_000_000 + ": expected a number")) < 5000
    assert told("place: " + "x" * 10_000_000 + ": expected a number").endswith(": expected a number")
    assert told("one\ntwo\x1b") == "one\ntwo\\u001b"


def test_pages_hold_no_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from metasearch.cli.app import main
    from tests.test_report import MARKUP, hostile_run

    run = hostile_run(tmp_path / "run", MARKUP)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["report", run.name])
    assert not ended.value.code, capsys.readouterr().err
    page = (run / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|img|iframe)", page)
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"<[^>]*\son\w+\s*=", re.sub(r'"[^"]*"', '""', page))  # no attribute that runs anything
    assert re.search(r'http-equiv="Content-Security-Policy" content="default-src \'none\'', page)
