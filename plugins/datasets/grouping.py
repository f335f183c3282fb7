"""Groups for data that comes without: what must not be split between train, dev and test."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from metasearch.core import Candidate, Corpus, Problem, Question
from metasearch.core.corpus import Place
from metasearch.errors import DataError

Node = TypeVar("Node", bound=Hashable)
PARTS = ("test", "dev", "train")  # what is in two parts stays in the first of these: nothing that is tested was trained on


class Text(NamedTuple):
    """A question or a candidate as it was read: ``group`` is None where the data gives none."""

    language: str
    text: str
    group: str | None
    place: Place


@dataclass
class Draft:
    """A corpus whose questions and candidates still lack groups.

    What is given a group by the data has that one. Else a group is what hangs together: a question in all its languages, the
    candidates that answer it, the other questions that those answer, and so on. A candidate that answers nothing goes with the
    question it is a wrong answer of; if it is nobody's, with any question, by a hash of its id, or to test where the data comes
    with a split of its own.

    Attributes:
        questions: (language, cross-lingual id) -> question.
        candidates: id -> candidate.
        relevant: question id -> candidate id -> where that is said.
        wrong: candidate id -> a question that it is known not to answer.
        parts: question id -> ``"train"``, ``"dev"`` or ``"test"``, where the data comes with a split of its own; else empty.
        problems: what was odd while reading.
    """

    questions: dict[tuple[str, str], Text] = field(default_factory=dict)
    candidates: dict[str, Text] = field(default_factory=dict)
    relevant: dict[str, dict[str, Place]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _told: set[tuple[str, str]] = field(default_factory=set)  # (question id, part) whose leak is reported

    def leave_out(self, place: Place, where: str, what: str) -> None:
        """Note that a record was left out."""
        self.problems.append(Problem(*place, where, what, skipped=True))

    def put_in_part(self, question_id: str, part: str, place: Place) -> None:
        """Say that a question belongs to a part of the data's own split; test goes before dev, and dev before train."""
        other = self.parts.setdefault(question_id, part)
        if other != part:
            self.parts[question_id] = first_part((part, other))
            if (question_id, part) not in self._told:
                self._leak(place, f"question {question_id}", (part, other))
            self._told |= {(question_id, part), (question_id, other)}

    def corpus(self, name: str, dev_share: float) -> Corpus:
        """The corpus, with groups.

        Args:
            name: for reports.
            dev_share: share of the questions outside test that the dev part gets, where the data's own split has none.
        """
        by_question, by_candidate = self._groups()
        parts: dict[str, str] = {}
        if self.parts:
            by_question, by_candidate, parts = self._in_parts(by_question, by_candidate, dev_share)
        places: dict[Question | Candidate, Place] = {}
        for (language, i), item in self.questions.items():
            places[Question(i, language, item.text, by_question[i])] = item.place
        for i, item in self.candidates.items():
            places[Candidate(i, item.language, item.text, by_candidate[i])] = item.place
        questions = tuple(item for item in places if isinstance(item, Question))
        candidates = tuple(item for item in places if isinstance(item, Candidate))
        relevant = {i: frozenset(ids) for i, ids in self.relevant.items()}
        return Corpus(name, questions, candidates, relevant, tuple(self.problems), parts, places)

    # -- groups ------------------------------------------------------------------------------------------------------------

    def _groups(self) -> tuple[dict[str, str], dict[str, str]]:
        """Question id -> group, candidate id -> group."""
        given = self._given_groups()
        edges: list[tuple[tuple[str, str], tuple[str, str]]] = []
        for question_id, ids in self.relevant.items():
            node = _node("q", question_id, given.get(question_id))
            edges.append((node, node))
            for candidate_id, place in ids.items():
                other = _node("c", candidate_id, self.candidates[candidate_id].group)
                if node[0] == other[0] == "group" and node != other:
                    what = f"its group is {other[1]!r}, but that of question {question_id!r} is {node[1]!r}: folds may part them"
                    self.problems.append(Problem(*place, f"candidate {candidate_id}", what))
                else:
                    edges.append((node, other))
        number = connected(edges)
        names: dict[int, str] = {}
        # The name is a given group's, else of the first question, in order: the same whatever the order of the file.
        for kind, name in sorted(node for node in number if node[0] != "c"):
            names.setdefault(number[kind, name], name)
        by_question = {i: names[number[_node("q", i, given.get(i))]] for i in self.relevant}
        by_candidate = {}
        any_question = sorted(self.relevant)
        for i, item in self.candidates.items():
            node = _node("c", i, item.group)
            if node in number:
                by_candidate[i] = names[number[node]]
            elif item.group is not None:
                by_candidate[i] = item.group
            elif self.wrong.get(i) in by_question:
                by_candidate[i] = by_question[self.wrong[i]]
            else:
                by_candidate[i] = by_question[any_question[_hash(i) % len(any_question)]]
        return by_question, by_candidate

    def _given_groups(self) -> dict[str, str]:
        """Question id -> the group that the data gives it."""
        found: dict[str, tuple[str, Place]] = {}
        for (_, question_id), item in self.questions.items():
            if item.group is not None:
                group, place = found.setdefault(question_id, (item.group, item.place))
                if group != item.group:
                    raise DataError(
                        f"{item.place[0]}:{item.place[1]}: question {question_id!r} is in group {item.group!r} here, "
                        f"but in group {group!r} at {place[0]}:{place[1]}"
                    )
        return {question_id: group for question_id, (group, _) in found.items()}

    # -- the data's own split ----------------------------------------------------------------------------------------------

    def _in_parts(
        self, by_question: Mapping[str, str], by_candidate: Mapping[str, str], dev_share: float
    ) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """Groups cut along the split, so that ``PART-GROUP`` is in one part alone; and group -> part."""
        part_of = dict(self.parts)
        if "dev" not in part_of.values():
            sizes: dict[str, int] = {}
            for i, part in part_of.items():
                if part == "train":
                    sizes[by_question[i]] = sizes.get(by_question[i], 0) + 1
            dev = dev_groups(sizes, dev_share)
            part_of = {i: "dev" if part == "train" and by_question[i] in dev else part for i, part in part_of.items()}
        of_candidate = self._parts_of_candidates(part_of, by_question, by_candidate)
        questions = {i: f"{part_of[i]}-{group}" for i, group in by_question.items()}
        candidates = {i: f"{of_candidate[i]}-{group}" for i, group in by_candidate.items()}
        return questions, candidates, {group: group.partition("-")[0] for group in (*questions.values(), *candidates.values())}

    def _parts_of_candidates(
        self, part_of: Mapping[str, str], by_question: Mapping[str, str], by_candidate: Mapping[str, str]
    ) -> dict[str, str]:
        asked_in: dict[str, dict[str, Place]] = {}  # candidate -> part -> a judgement
        for question_id, ids in self.relevant.items():
            for candidate_id, place in ids.items():
                asked_in.setdefault(candidate_id, {}).setdefault(part_of[question_id], place)
        of_group: dict[str, set[str]] = {}
        for question_id, group in by_question.items():
            of_group.setdefault(group, set()).add(part_of[question_id])
        self._report_cut_groups(of_group)
        found = {}
        for i, item in self.candidates.items():
            if i in asked_in:
                found[i] = first_part(asked_in[i])
                if len(asked_in[i]) > 1:
                    self._leak(asked_in[i][found[i]], f"candidate {i}", asked_in[i])
            elif self.wrong.get(i) in part_of:
                found[i] = part_of[self.wrong[i]]
            else:
                found[i] = "test" if item.group is None else first_part(of_group.get(by_candidate[i], {"test"}))
        return found

    def _report_cut_groups(self, parts_of: Mapping[str, set[str]]) -> None:
        told = set()
        for item in self.questions.values():
            parts = parts_of.get(item.group or "", set())
            if len(parts) > 1 and item.group not in told:
                told.add(item.group)
                self.problems.append(Problem(*item.place, f"group {item.group}", f"a leak: has questions in {_in_order(parts)}"))

    def _leak(self, place: Place, where: str, parts: Iterable[str]) -> None:
        what = f"a leak: is in {_in_order(parts)}; kept in {first_part(parts)} alone"
        self.problems.append(Problem(*place, where, what))


def _node(kind: str, name: str, group: str | None) -> tuple[str, str]:
    return (kind, name) if group is None else ("group", group)


def first_part(parts: Iterable[str]) -> str:
    """The part that something in several parts stays in."""
    return min(parts, key=PARTS.index)


def _in_order(parts: Iterable[str]) -> str:
    return " and ".join(sorted(parts, key=PARTS.index, reverse=True))


def dev_groups(sizes: Mapping[str, int], share: float) -> set[str]:
    """Groups for a dev part, by a hash of their names, until they hold that share.

    Args:
        sizes: group -> its questions (pairs).
        share: of all of them.
    """
    dev: set[str] = set()
    have, want = 0, share * sum(sizes.values())
    for group in sorted(sizes, key=_hash):
        if abs(have + sizes[group] - want) <= abs(have - want):
            dev.add(group)
            have += sizes[group]
    return dev


def connected(edges: Iterable[tuple[Node, Node]]) -> dict[Node, int]:
    """Node -> number of the connected component it is in."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number: dict[Node, int] = {}
    ends = np.array([[number.setdefault(node, len(number)) for node in edge] for edge in edges], dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(len(number), len(number)))
    _, labels = connected_components(graph, directed=False)
    return {node: int(labels[i]) for node, i in number.items()}


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
