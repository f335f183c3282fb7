"""Arrangement notation and sampling: what is drawn, and that it is a pure function."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metasearch.core import Corpus, Task
from metasearch.episodes import MODES, EpisodeStream, parse_mode
from metasearch.errors import ConfigError, DataError
from metasearch_plugins.samplers.random import RandomSampler
from tests.tiny import tiny_corpus


def stream(mode: str, corpus: Corpus | None = None, seed: int = 0, phase: str = "train", **sizes: int) -> EpisodeStream:
    corpus = corpus or tiny_corpus()
    return EpisodeStream(corpus, parse_mode(mode).arrangement(phase), RandomSampler(**sizes), seed, phase)


def test_the_presets_are_those_of_the_paper() -> None:
    assert list(MODES["triplets"]) == ["mono-mono", "mono-bi", "mono-multi", "bi-multi", "mixt", "trans", "mono-bi-multi"]
    assert str(parse_mode("mono-bi-multi").train) == "el_el -> el_ar -> el_{ar,el,hi} ; hi_hi -> hi_de -> hi_{ar,de,hi}"
    trans = parse_mode("trans")
    assert (str(trans.train), str(trans.valid), str(trans.test)) == (
        str(parse_mode("mono-bi").train),
        str(parse_mode("bi-multi").train),
        str(parse_mode("mono-multi").train),
    )
    assert len(parse_mode("mixt").train.chains) == 8
    assert all(parse_mode(m).languages == {"ar", "de", "el", "hi"} for m in MODES["triplets"])


def test_the_presets_for_sentence_pairs() -> None:
    assert list(MODES["pairs"]) == ["mono-mono", "mono-bi", "mono-bi-multi"]
    chains = parse_mode("mono-mono", "pairs").train.chains
    assert len(chains) == 6
    assert all(chain.links[0] != chain.links[1] for chain in chains)  # never the same language pair twice
    support, query = parse_mode("mono-bi", "pairs").train.chains[0].links
    assert len(support.pairs) == len(query.pairs) == 3
    assert str(parse_mode("mono-bi-multi", "pairs").train.chains[0]) == "en_en -> ar_en -> en_{ar,en,es}"
    with pytest.raises(ConfigError, match="no such mode for pairs; it is one for triplets; known: mono-mono, mono-bi"):
        parse_mode("trans", "pairs")


def test_free_arrangements_and_white_space() -> None:
    mode = parse_mode("en_en->en_{de , fr} ;fr_fr->{fr,de}_en")
    assert [str(c) for c in mode.train.chains] == ["en_en -> en_{de,fr}", "fr_fr -> {fr,de}_en"]
    pairs = parse_mode("{en_en,ar_ar} -> {ar_en,en_{ar,es}}").train.chains[0].links
    assert pairs[0].pairs == ((("en",), ("en",)), (("ar",), ("ar",)))
    assert pairs[1].pairs == ((("ar",), ("en",)), (("en",), ("ar", "es")))
    assert parse_mode("pt-BR_zh-Hant -> pt-BR_en").languages == {"pt-BR", "zh-Hant", "en"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mono-by", "did you mean mono-bi"),
        ("el_el", "two or more"),
        ("el_el -> el_ar ; hi_hi", "same number of sets"),
        ("el_el -> ar", "'ar' is not question_candidate"),
        ("el_el -> el_{ar,}", "not a language code"),
        ("el_el -> el_{ar,ar}", "names a language twice"),
        ("el_el -> ", "not question_candidate"),
        (" ; ", "no such mode"),
        ("el_1 -> el_ar", "'1' in 'el_1'"),
        ("_ -> _", "not a language code"),
    ],
)
def test_bad_arrangements(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_mode(text)


@given(st.text(alphabet="el_ar{},;-> \n", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_mode_or_a_clear_error(text: str) -> None:
    try:
        mode = parse_mode(text)
    except ConfigError as error:
        assert repr(text) in str(error)
    else:
        assert parse_mode(str(mode.train)).train == mode.train


def test_unknown_language_lists_those_there() -> None:
    with pytest.raises(ConfigError, match="has no xx; it has ar, de, el, hi"):
        stream("el_el -> el_xx")


def languages(task: Task, number: int) -> tuple[set[str], set[str]]:
    examples = task.sets[number].examples
    return (
        {e.question.language for e in examples},
        {c.language for e in examples for c in (e.positive, *e.negatives)},
    )


def test_sizes_and_languages() -> None:
    tasks = [stream("mono-bi-multi", support_size=8, query_size=4, num_negatives=3).task(i) for i in range(6)]
    for task in tasks:
        assert [len(s) for s in task.sets] == [8, 4, 4]
        assert [sum(len(list(e.triplets())) for e in s.examples) for s in task.sets] == [24, 12, 12]
        question, candidate, multi = ("el", "ar", {"ar", "el", "hi"}) if task.index % 2 == 0 else ("hi", "de", {"ar", "de", "hi"})
        assert languages(task, 0) == ({question}, {question})
        assert languages(task, 1) == ({question}, {candidate})
        assert languages(task, 2)[0] == {question}
        assert languages(task, 2)[1] <= multi
    seen = set().union(*(languages(t, 2)[1] for t in tasks))
    assert seen == {"ar", "de", "el", "hi"}


def test_no_question_twice_and_no_negative_relevant_in_any_language() -> None:
    corpus = tiny_corpus()
    source = stream("mono-bi-multi", corpus, support_size=8, query_size=4, num_negatives=3)
    for index in range(50):
        task = source.task(index)
        ids = [e.question.id for s in task.sets for e in s.examples]
        assert len(ids) == len(set(ids)) == 16
        for s in task.sets:
            for e in s.examples:
                assert e.positive.id in corpus.relevant[e.question.id]
                assert not {n.id for n in e.negatives} & corpus.relevant[e.question.id]
                assert len({n.id for n in e.negatives}) == 3
                assert e.positive.text not in {n.text for n in e.negatives}


def test_a_task_is_a_pure_function_of_its_number() -> None:
    one, other = stream("mono-bi", seed=3), stream("mono-bi", seed=3)
    alone = [other.task(i) for i in (5, 0, 3)]
    assert [one.task(i) for i in range(6)][5] == alone[0]
    assert one.task(0) == alone[1]
    assert one.task(3) == alone[2]
    assert stream("mono-bi", seed=4).task(0).sets != one.task(0).sets
    assert one.task(1).sets != one.task(3).sets
    assert EpisodeStream(one.corpus, one.arrangement, one.sampler, 3, "valid").task(0).sets != one.task(0).sets


def test_draws_are_uniform() -> None:
    corpus = tiny_corpus(articles=5)
    source = stream("el_el -> el_el", corpus, support_size=1, query_size=1, num_negatives=1)
    counts: dict[str, int] = {}
    for index in range(2000):
        question = source.task(index).support.examples[0].question.id
        counts[question] = counts.get(question, 0) + 1
    # 20 questions, 100 expected each, standard deviation about 10.
    assert len(counts) == 20
    assert all(55 < n < 145 for n in counts.values())


def test_too_few_questions_says_what_to_lower() -> None:
    with pytest.raises(DataError, match=r"needs 16 different questions.*has only 8 in el.*sampler.support_size"):
        stream("mono-bi-multi", tiny_corpus(articles=2), support_size=8, query_size=4).task(0)


def test_too_few_candidates_says_what_to_lower() -> None:
    corpus = tiny_corpus(articles=1, questions=3)
    with pytest.raises(DataError, match=r"fewer than 5 wrong candidates in el; lower sampler.num_negatives"):
        stream("el_el -> el_el", corpus, support_size=1, query_size=1, num_negatives=5).task(0)
