"""Values, overrides, files, presets, and errors that say what to do."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metasearch.config import compose, parse_overrides, presets
from metasearch.config.files import dump_yaml, parse_yaml, read_yaml
from metasearch.config.schema import component_options
from metasearch.config.values import parse_value
from metasearch.episodes import parse_mode
from metasearch.errors import ConfigError, MetasearchError
from metasearch.registry import registry

FOUR = ("ar", "de", "el", "hi")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1e-3", 0.001),
        ("5E-5", 5e-5),
        (".5", 0.5),
        ("true", True),
        ("null", None),
        ("none", "none"),
        ("no", "no"),
        ("[ar, de,no]", ["ar", "de", "no"]),
        ("[]", []),
        ("[[1,2],[3]]", [[1, 2], [3]]),
        ("{a: 1, b: [x]}", {"a": 1, "b": ["x"]}),
        ("'true'", "true"),
        ('"a, b"', "a, b"),
        ("el_{ar,el}", "el_{ar,el}"),
        ("el_el->el_ar; hi_hi->hi_de", "el_el->el_ar; hi_hi->hi_de"),
        ("it's", "it's"),
        ("", ""),
        ("0x10", "0x10"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_values_are_typed(text: str, value: object) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_every_form_of_override() -> None:
    assert compose("seed=3")["seed"] == 3
    assert compose("++seed=3")["seed"] == 3
    assert compose("+seed=3")["seed"] == 3
    assert compose("algo=maml", "algo.inner_steps=4")["algo.inner_steps"] == 4
    assert compose("algo.name=maml")["algo.name"] == "maml"
    assert compose("algo=maml", "mode=mono-bi", "~mode")["mode"] == "trans"
    assert compose("train.tasks=5", "~train.tasks")["train.tasks"] == 7000  # the default, below the preset
    assert compose("data.languages=[ar,de]")["data.languages"] == ["ar", "de"]
    assert compose("seed=1", "seed=2")["seed"] == 2
    assert compose("train={tasks: 5, epochs: 2}")["train.epochs"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed"], "expected key=value"),
        (["=3"], "'' is not a key"),
        (["a b=3"], "'a b' is not a key"),
        (["~seed=3"], "to drop a key write ~key"),
        (["seed=1,2"], r"is a sweep, which needs -m; for a list write seed=\[1,2\]"),
        (["data.languages=[ar,de"], "']' is missing at the end"),
        (["mode=el_ar}"], "closes nothing"),
        (["+train.tasks=4"], "train.tasks is already 12 .from preset quick."),
        (["algo.iner_steps=4"], "no such key.*the command line.*did you mean algo.inner_steps.*algo=maml-align has the keys"),
        (["train.task=4"], "did you mean train.tasks"),
        (["sed=4"], "did you mean seed"),
        (["~sed"], "did you mean seed"),
        (
            ["algo=mamal"],
            "algo=mamal: no algo has this name; did you mean maml.*known: anil, centre, fine-tune, maml",
        ),
        (["algo=3"], "algo=3.*expected the name of a component"),
        (["preset=papr"], "did you mean paper"),
        (["algo.inner_steps=abc"], "algo.inner_steps=abc .from the command line.: expected a whole number, at least 0"),
        (["algo.inner_steps=-1"], "expected a whole number, at least 0"),
        (["algo.inner_steps=1.5"], "expected a whole number"),
        (["train.tasks=8.0"], "train.tasks=8.0.*expected a whole number"),
        (["algo.outer_lr=1e999"], "algo.outer_lr=inf.*expected a number"),
        (["algo.inner_lr=true"], "algo.inner_lr=true.*expected a number"),
        (["algo.temperature=0"], "expected a number, above 0"),
        (["algo.distill=kll"], "expected one of kl, kl-pools, kl-losses, mse-losses"),
        (["data.fold=7"], "expected one of 0, 1, 2, 3, 4, all, none"),
        (["data.languages=ar"], "expected a list or null of text"),
        (["data.languages=[ar,3]"], "data.languages="),
        (["device=gpu"], "device=gpu.*expected text of the form.*auto"),
        (["eval.variants=[multi,many]"], "eval.variants=.*one of multi, bi, mono"),
        (["loss.margin=null"], "loss.margin=null"),
        (["encoder.model="], "expected text, not empty"),
        (["encoder.model.x=1"], "no such key"),
    ],
)
def test_bad_words_say_key_value_and_what_is_allowed(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compose(*words)


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compose("algo.inner_steps=-1", "loss.margin=x")
    assert len(str(caught.value).splitlines()) == 2


def test_precedence(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("algo:\n  name: maml\n  inner_steps: 4\ntrain: {tasks: 6}\n", encoding="utf-8")
    config = compose("train.tasks=7", file=file)
    assert (config["algo.name"], config["algo.inner_steps"], config["train.tasks"]) == ("maml", 4, 7)
    assert config.origins["algo.inner_steps"] == str(file)
    assert config["algo.outer_lr"] == 5e-5  # preset quick
    assert compose("preset=paper", "algo=maml")["algo.outer_lr"] == 1e-5
    assert config["mode"] == "trans"  # the algorithm brings its own
    assert compose("algo=maml", "mode=mono-bi")["mode"] == "mono-bi"
    # Another component on the command line replaces the file's group.
    assert compose("algo=fine-tune", file=file)["algo.name"] == "fine-tune"


def test_resolved_config_reads_back_the_same(tmp_path: Path) -> None:
    config = compose("algo=maml", "data.languages=[no,de]", "seed=5", "mode='el_el -> el_{ar,el}'", "out='1e3'")
    (tmp_path / "c.yaml").write_text(config.to_yaml(), encoding="utf-8")
    again = compose(file=tmp_path / "c.yaml")
    assert again.values == config.values
    assert again.to_yaml() == config.to_yaml()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2", r"c.yaml:\d: not valid YAML"),
        ("a: 1\na: 2\n", "c.yaml:2: not valid YAML: key 'a' stands twice"),
        ("- 1\n", "expected `key: value` lines, found list"),
        ("3: 1\n", "key 3 is not a word"),
        ("a: !!python/object/apply:os.system [echo]\n", "not valid YAML"),
        ("algo: {nme: maml}\n", "algo.nme: no such key.*c.yaml.*did you mean"),
        ("sede: 3\n", "sede: no such key.*c.yaml.*did you mean seed"),
        ("train: 3\n", "train: no such key"),
        ("algo: [maml]\n", "algo=.*expected the name"),
    ],
)
def test_bad_files_name_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        compose(file=tmp_path / "c.yaml")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read"):
        compose(file=tmp_path / "none.yaml")
    (tmp_path / "c.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        compose(file=tmp_path / "c.yaml")


def test_yaml_scalars_are_what_people_mean() -> None:
    assert parse_yaml("a: 1e-3\nb: no\nc: 010\nd: ~\ne: 2020-01-01\n", "t") == {
        "a": 0.001,
        "b": "no",
        "c": 10,
        "d": None,
        "e": "2020-01-01",
    }


plain = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), plain | st.lists(plain, max_size=3), max_size=4))
@settings(max_examples=150, deadline=None)
def test_yaml_round_trip(values: dict[str, object]) -> None:
    assert parse_yaml(dump_yaml(values), "t") == values


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_word_is_an_override_or_a_clear_error(word: str) -> None:
    try:
        parse_overrides([word])
    except ConfigError as error:
        assert str(error)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_file_is_a_config_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "c.yaml"
    path.write_bytes(content)
    try:
        read_yaml(path)
    except MetasearchError as error:
        assert "c.yaml" in str(error)


@pytest.mark.parametrize("preset", presets())
@pytest.mark.parametrize("algo", registry.names("algo"))
@pytest.mark.parametrize("data", registry.names("data"))
def test_every_preset_fits_every_algorithm_and_data_set(preset: str, algo: str, data: str) -> None:
    assert compose(f"preset={preset}", f"algo={algo}", f"data={data}")["preset"] == preset


def test_the_paper_preset_is_the_papers_setting() -> None:
    config = compose("preset=paper", "data=xquad-r")
    wanted = {
        "encoder.model": "sentence-transformers/paraphrase-multilingual-mpnet-base-v2",
        "encoder.max_query_length": 96,
        "encoder.max_candidate_length": 256,
        "algo.inner_lr": 1e-3,
        "algo.outer_lr": 1e-5,
        "algo.meta_batch_size": 4,
        "algo.inner_steps": 5,
        "algo.student_inner_steps": 1,
        "algo.kd_weight": 0.5,
        "algo.order": "second",
        "algo.distill": "kl",
        "algo.weight_decay": 0.0,
        "sampler.support_size": 8,
        "sampler.query_size": 4,
        "sampler.num_negatives": 3,
        "loss.margin": 1.0,
        "train.tasks": 7000,
        "train.epochs": 20,
        "train.patience": 50,
        "valid.tasks": 2000,
        "data.context": True,
        "mode": "mono-bi-multi",
    }
    assert {key: config[key] for key in wanted} == wanted
    assert compose("preset=paper", "algo=fine-tune")["algo.outer_lr"] == 5e-5
    authors = compose("preset=authors-code", "data=xquad-r")
    differs = {
        "algo.order": "first",
        "algo.distill": "mse-losses",
        "algo.student_inner_steps": 0,
        "algo.outer_lr": 5e-5,
        "sampler.num_negatives": 1,
        "algo.detach_teacher": False,
    }
    assert {key: authors[key] for key in differs} == differs


def test_a_preset_may_set_other_groups_where_they_have_the_key() -> None:
    assert compose("encoder=dual", "algo=maml")["algo.outer_lr"] == 1e-5
    assert compose("encoder=dual", "algo=maml", "algo.outer_lr=3e-5")["algo.outer_lr"] == 3e-5
    assert compose("algo=maml")["algo.outer_lr"] == 5e-5
    assert "algo.outer_lr" not in compose("encoder=dual", "algo=zero-shot")


def test_a_preset_may_choose_a_component_where_it_fits() -> None:
    best = compose("preset=best", "encoder=triplet", "algo=maml-align")
    assert (best["loss.name"], best["sampler.base"], best["sampler.versions"]) == ("distillation", True, True)
    assert best["algo.distill"] == "kl-pools"
    assert best["mode"].startswith("ar_ar -> ar_de -> ar_{ar,de,el,hi} ; ")
    assert compose("preset=best", "loss=triplet")["loss.name"] == "triplet"
    pairs = compose("preset=best", "data=sts2017", "algo=maml-align")
    assert (pairs["loss.name"], pairs["algo.distill"], pairs["mode"]) == ("cosine-mse", "kl", "mono-bi-multi")
    for preset in ("paper", "authors-code"):
        assert compose(f"preset={preset}")["loss.name"] == "triplet"


def test_the_arrangements_of_preset_best() -> None:
    """Every question language with every other, in turn: chains of the right length for each algorithm."""
    modes = {
        algo: parse_mode(compose("preset=best", f"algo={algo}")["mode"]).train for algo in ("fine-tune", "maml", "maml-align")
    }
    assert modes["fine-tune"] == modes["maml-align"]
    assert (modes["maml"].length, modes["maml-align"].length) == (2, 3)
    pairs = {chain.links[1].text for chain in modes["maml-align"].chains}
    assert pairs == {f"{one}_{other}" for one in FOUR for other in FOUR if one != other}
    assert [chain.links for chain in modes["maml"].chains] == [chain.links[1:] for chain in modes["maml-align"].chains]


def test_data_of_pairs_brings_what_fits() -> None:
    for words in (("encoder=dual",), ("data=sts2017",), ("data=stsb", "algo=maml")):
        config = compose(*words)
        assert [config[f"{kind}.name"] for kind in ("encoder", "loss", "metric")] == ["dual", "cosine-mse", "pearson"]
    assert compose("data=sts2017", "algo=maml")["mode"] == "mono-bi"
    assert compose("data=sts2017", "algo=maml-align")["mode"] == "mono-bi-multi"
    assert compose("algo=maml")["mode"] == "trans"
    assert compose("encoder=bm25")["algo.name"] == "zero-shot"
    assert compose("loss=cached")["sampler.cached_negatives"] == 32


@pytest.mark.parametrize("item", list(registry), ids=lambda item: f"{item.kind}={item.name}")
def test_schemas_and_classes_say_the_same(item) -> None:  # type: ignore[no-untyped-def]
    """Every option is a keyword argument of the class with the same default, and the other way round."""
    signature = inspect.signature(
        item.load().__init__ if "__init__" in vars(item.load()) or item.load().__init__ is not object.__init__ else item.load()
    )
    arguments = {n: p.default for n, p in signature.parameters.items() if n not in ("self", "args", "kwargs")}
    assert arguments == item.component.defaults()
    for option, schema in component_options(item).items():
        assert schema["description"].endswith("."), option


def test_components_are_made_with_their_options() -> None:
    config = compose("loss.margin=0.5", "algo=maml", "algo.inner_steps=7")
    assert config.create("loss").margin == 0.5
    assert config.create("algo").inner_steps == 7
    assert "fold" not in config.options("data")
