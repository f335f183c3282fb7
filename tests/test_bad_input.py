"""The malformed inputs of tests/bad_inputs, through the real command: exit code, message and place, nothing written or lost."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bad_inputs import (
    Case,
    arrangements,
    beir,
    config_files,
    indexes,
    models,
    overrides,
    pairs,
    plugin_metadata,
    run_folders,
    sts,
    xquad_r,
)
from tests.conftest import run_cli

ENTRY_POINTS = {
    "config files": config_files,
    "overrides": overrides,
    "arrangements": arrangements,
    "XQuAD-R": xquad_r,
    "STS": sts,
    "BEIR": beir,
    "pairs": pairs,
    "run folders": run_folders,
    "model folders and checkpoints": models,
    "index folders": indexes,
    "plugin metadata": plugin_metadata,
}
CASES: list[Case] = [case for module in ENTRY_POINTS.values() for case in module.CASES]  # type: ignore[attr-defined]
# What a terminal acts on: control characters other than the line feed, and overrides of direction.
ACTS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

Bases = Callable[[str], Path]


@pytest.fixture(scope="module")
def bases(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """Good folders to damage copies of, each made when it is first asked for: ``model``, ``run``, ``pairs_run``, ``index``."""
    folder = tmp_path_factory.mktemp("good")
    made: dict[str, Path] = {"model": tiny_model}

    def get(name: str) -> Path:
        kind = {"other": "run", "pairs_other": "pairs_run"}.get(name, name)
        if kind not in made:
            made[kind] = _make(kind, folder / kind, tiny_model)
        return made[kind]

    return get


def _make(kind: str, path: Path, tiny_model: Path) -> Path:
    import metasearch

    languages = "data.languages=[ar,de,el,hi]"
    if kind == "run":
        words = (
            f"encoder.model={tiny_model}",
            "train.tasks=2",
            "valid.tasks=1",
            "sampler.support_size=3",
            "sampler.query_size=2",
        )
        metasearch.run("algo=fine-tune", languages, "eval.baseline=false", *words, f"out={path}")
    elif kind == "pairs_run":
        metasearch.evaluate(str(tiny_model), "data=mini-sts", f"out={path}")
    else:
        corpus = path.with_name("corpus.txt")
        corpus.write_text("tea is old\ncoffee is not\n", encoding="utf-8")
        metasearch.build_index(str(tiny_model), str(corpus), str(path))
    return path


@pytest.fixture
def prepared(bases: Bases, tmp_path: Path) -> Callable[[Case], Path]:
    """Write a case's files into a fresh folder."""

    def prepare(case: Case) -> Path:
        folder = tmp_path / "here"
        (folder / "full").mkdir(parents=True)
        (folder / "full/precious.txt").write_text("keep me", encoding="utf-8")
        for name in case.base:
            shutil.copytree(bases(name), folder / name)
        case.write(folder)
        return folder

    return prepare


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment, the plugins and the modules as they were, when the test is over."""
    from metasearch.registry import registry

    before, modules, plugins = dict(os.environ), set(sys.modules), vars(registry).copy()
    yield
    os.environ.clear()
    os.environ.update(before)
    vars(registry).clear()
    vars(registry).update(plugins)
    for name in set(sys.modules) - modules:
        if name.startswith("metasearch_file_"):
            del sys.modules[name]


def content(folder: Path) -> dict[str, tuple[str, int, str]]:
    """Everything in a folder: kind, size and digest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
        raw = path.read_bytes() if kind == "file" else str(path.readlink()).encode() if kind == "link" else b""
        found[str(path.relative_to(folder))] = kind, len(raw), hashlib.sha256(raw).hexdigest()
    return found


def environment(case: Case, folder: Path) -> dict[str, str]:
    return {"METASEARCH_CACHE": str(folder / "cache"), "COLUMNS": "200", **case.environment}


def check(case: Case, folder: Path, before: dict[str, tuple[str, int, str]], code: object, out: str, err: str) -> None:
    told = f"{case.words}: exit code {code}\n{err[:4000]}\n{out[:4000]}"
    assert code == case.code, told
    assert "Traceback" not in out + err, told
    assert "a bug" not in err, told
    message = out if case.code == 0 else err
    for said in case.said:
        assert said in message, f"not said: {said!r}\n{told}"
    if case.code:
        assert out == "", told
        assert "error: " in err, told
        assert len(err) < 20_000, len(err)
    assert not ACTS.search(out + err), ascii(told)
    assert content(folder) == before, "files were written or lost"


def _too_long(*_: object) -> None:
    raise TimeoutError("not refused within 20 seconds")


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_explained_and_changes_nothing(
    case: Case, prepared: Callable[[Case], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from metasearch.cli.app import main
    from metasearch.registry import registry

    folder = prepared(case)
    before = content(folder)
    monkeypatch.chdir(folder)
    os.environ.update(environment(case, folder))
    if case.environment:
        registry.__init__()  # type: ignore[misc]
    capsys.readouterr()
    # What is not refused would train for minutes.
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(20)
    try:
        with pytest.raises(SystemExit) as ended:
            main(list(case.words))
    finally:
        signal.alarm(0)
    told = capsys.readouterr()
    check(case, folder, before, ended.value.code or 0, told.out, told.err)


PROCESSES = [case for case in CASES if case.process]


@pytest.mark.parametrize("case", PROCESSES, ids=[case.name for case in PROCESSES])
def test_bad_input_in_a_process_of_its_own(case: Case, prepared: Callable[[Case], Path]) -> None:
    folder = prepared(case)
    before = content(folder)
    done = run_cli(folder, *case.words, **environment(case, folder))
    check(case, folder, before, done.returncode, done.stdout, done.stderr)


def test_the_corpus_covers_every_entry_point() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(len(module.CASES) >= 10 for module in ENTRY_POINTS.values())  # type: ignore[attr-defined]
    assert len(PROCESSES) >= 12
