"""Translate-train: machine-translated files beside or instead of the few-shot data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metasearch.config import compose
from metasearch.core import Corpus
from metasearch.dataset import make_splits
from metasearch.errors import ConfigError, DataError
from metasearch.prepare import _with_translated
from metasearch_plugins.datasets.mini import Mini
from metasearch_plugins.datasets.sts2017 import STS2017
from metasearch_plugins.datasets.xquad_r import split_sentences
from tests.conftest import ROOT, Cli
from tests.test_pairs import write_stsb, write_tracks

MINI = ROOT / "plugins" / "datasets" / "mini"


def squad(folder: Path, language: str, articles: int = 6) -> Path:
    """Plain SQuAD made of the mini corpus: no sentences, other ids' spelling kept, one answer that the translation lost."""
    content = json.loads((MINI / f"{language}.json").read_text(encoding="utf-8"))
    content["data"] = content["data"][:articles]
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            del paragraph["sentences"], paragraph["sentence_breaks"]
    content["data"][0]["paragraphs"][0]["qas"][0]["answers"] = []
    file = folder / f"squad.translate.train.en-{language}.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("context", "sentences"),
    [
        ("Tea is old.  Coffee is younger!\nIs it?", ["Tea is old.", "Coffee is younger!", "Is it?"]),
        ("चाय पुरानी है। कॉफ़ी नई है।", ["चाय पुरानी है।", "कॉफ़ी नई है।"]),
        ("ما هذا؟ شاي.", ["ما هذا؟", "شاي."]),
        ("  ", []),
    ],
)
def test_sentences_by_the_unicode_rules(context: str, sentences: list[str]) -> None:
    found, breaks = split_sentences(context)
    assert found == sentences
    assert [context[begin:end] for begin, end in breaks] == sentences


def test_plain_squad_is_read_and_cannot_collide(tmp_path: Path) -> None:
    files = {language: str(squad(tmp_path, language)) for language in ("ar", "de")}
    own, translated = Mini().load(), Mini().load_translated(files)
    assert translated.languages == ("ar", "de")
    assert not set(translated.groups) & set(own.groups)
    assert not {c.id for c in translated.candidates} & {c.id for c in own.candidates}
    assert not {q.id for q in translated.questions} & {q.id for q in own.questions}
    lost = [p for p in translated.problems if p.skipped]
    assert [p.what for p in lost] == ["no answer", "no answer"]
    question = next(q for q in translated.questions if q.language == "de")
    assert translated.relevant[question.id]  # the answer's sentence was found again
    shown = {(q.language, q.id) for q in translated.questions}
    assert {i for language, i in shown if language == "ar"} == {i for language, i in shown if language == "de"}
    contexts = {c.text for c in Mini(context=True).load_translated(files).candidates}
    assert max(map(len, contexts)) > max(len(c.text) for c in translated.candidates)


def test_add_and_replace(tmp_path: Path) -> None:
    translated = Mini().load_translated({"ar": str(squad(tmp_path, "ar", 10))})
    (split,) = make_splits(Mini().load(), 0)
    parts = {"train": split.train, "valid": split.dev}
    added = _with_translated(parts, translated, compose("algo=maml"))
    replaced = _with_translated(parts, translated, compose("algo=maml", "data.translated_use=replace"))
    for phase in parts:
        assert isinstance(added[phase], Corpus)
        assert set(added[phase].groups) == set(parts[phase].groups) | set(replaced[phase].groups)
        assert all(group.startswith("translated-") for group in replaced[phase].groups)
    # A fifth to meta-valid, and nothing in both.
    assert (len(replaced["train"].groups), len(replaced["valid"].groups)) == (8, 2)
    assert set(
        _with_translated({"train": split.train}, translated, compose("data.translated_use=replace"))["train"].groups
    ) == set(translated.groups)
    one = Mini().load_translated({"ar": str(squad(tmp_path, "ar", 1))})
    with pytest.raises(DataError, match="one article alone cannot serve meta-train and meta-valid"):
        _with_translated(parts, one, compose("algo=maml"))


def test_translated_pairs_make_cross_lingual_tracks(tmp_path: Path) -> None:
    folder = write_stsb(tmp_path / "stsb", {"train": 20}, ("tr", "es"))
    files = {language: str(folder / f"stsb-{language}-train.csv") for language in ("tr", "es")}
    translated = STS2017().load_translated(files)
    assert list(translated.tracks) == [("es", "es"), ("es", "tr"), ("tr", "tr")]
    own = STS2017(str(write_tracks(tmp_path / "sts"))).load()
    assert len(own.joined(translated).pairs) == len(own.pairs) + 60


@pytest.mark.parametrize("use", ["add", "replace"])
def test_translate_train_through_the_command(cli: Cli, tiny_model: Path, tmp_path: Path, use: str) -> None:
    file = squad(tmp_path, "ar", 25)
    words = ["algo=maml", "mode=ar_ar -> ar_ar", f"data.translated={{ar: {file}}}", f"data.translated_use={use}"]
    done = cli("run", *words, f"encoder.model={tiny_model}", "train.tasks=2", "valid.tasks=2", "out=r", "eval.variants=[mono]")
    assert done.returncode == 0, done.stderr
    assert "1 records left out, the first" in done.stderr
    results = json.loads((tmp_path / "r" / "results.json").read_text(encoding="utf-8"))
    assert {row["query_language"] for row in results["scores"] if row["supervision"] == "few-shot"} == {"ar"}
    assert {row["n"] for row in results["scores"]} == {20}  # scored on the data's own test questions


def test_jointly_on_translated_pairs_through_the_command(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    sts = write_tracks(tmp_path / "sts")
    folder = write_stsb(tmp_path / "stsb", {"train": 60}, ("tr", "es"))
    translated = ", ".join(f"{language}: {folder}/stsb-{language}-train.csv" for language in ("tr", "es"))
    words = ["data=sts2017", f"data.path={sts}", f"data.translated={{{translated}}}", "data.translated_use=replace"]
    mode = "mode=tr_tr -> tr_tr ; es_es -> es_es"
    done = cli("run", "algo=fine-tune", mode, *words, f"encoder.model={tiny_model}", "train.tasks=2", "valid.tasks=1", "out=r")
    assert done.returncode == 0, done.stderr


def test_bad_translated_files(cli: Cli, tmp_path: Path) -> None:
    for value, said in (
        ("{ar: /no/such.json}", "/no/such.json: cannot be read: No such file or directory"),
        ("somewhere", "data.translated=somewhere (from the command line): expected a group of keys or null"),
        ("{}", "data.translated="),
        (f"{{ar: {ROOT / 'README.md'}}}", "README.md:1: not valid JSON"),
    ):
        done = cli("run", "algo=maml", "mode=ar_ar -> ar_ar", f"data.translated={value}", "out=r")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "r").exists()


def test_data_sets_without_such_a_format_say_so() -> None:
    from metasearch import Dataset

    class Own(Dataset):
        def load(self) -> Corpus:
            raise NotImplementedError

    with pytest.raises(ConfigError, match=r"data.translated: Own reads no translated training files"):
        Own().load_translated({"ar": "x"})
