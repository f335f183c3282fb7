"""The paper's tables and figures: what the files say, what a table writes, and one experiment through the command."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

import pytest
import yaml

from metasearch.config import compose
from metasearch.report.plots import paper_number, plot_table
from metasearch.report.result_table import ResultRow, ResultTable, Value
from metasearch.reproduce import _average, _scaled, experiments
from tests.conftest import ROOT, Cli
from tests.test_pairs import write_tracks

FILES = sorted((ROOT / "examples" / "reproduce").glob("*.yaml"))
MINI = ROOT / "plugins" / "datasets" / "mini"


def content(file: Path) -> dict:  # type: ignore[type-arg]
    return yaml.safe_load(file.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_every_experiment_of_the_spec_is_there() -> None:
    figures = [f"figure{n}" for n in (3, 4, 5, 6)]
    assert experiments() == [*figures, *(f"table{n}" for n in (1, 5, 6, 7, 8))]
    assert [file.stem for file in FILES] == experiments()


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_row_composes_and_names_its_inputs(file: Path) -> None:
    experiment = content(file)
    inputs = {name: f"/somewhere/{name}" for name in experiment["inputs"]}
    for table in experiment["tables"]:
        names = [column["name"] for column in table["columns"]]
        for row in table["rows"]:
            assert set(row) <= {"name", "part", "trained_as", "words", "paper", "average_of", "hidden", "unavailable"}
            assert set(row.get("paper", {})) <= set(names)
            if row.get("words"):
                words = [word.format(**inputs) for word in (*table["words"], *row["words"])]
                config = compose("preset=paper", *words)
                assert config["data.path"].startswith("/somewhere/")
            else:
                assert row.get("average_of") or row["unavailable"]
            for name in row.get("average_of", ()):
                assert any(r["name"] == row["name"] and r["trained_as"] == name for r in table["rows"])


def test_table_1_has_every_row_of_the_spec() -> None:
    xquad, sts = content(ROOT / "examples" / "reproduce" / "table1.yaml")["tables"]
    shown = [(row["name"], row["trained_as"], row["paper"]) for row in xquad["rows"] if not row.get("hidden")]
    values = [tuple(paper_number(paper[c]) for c in ("multi", "bi", "mono")) for _, _, paper in shown]
    for expected in ((48.7, 73.0, 77.7), (57.0, 72.5, 80.7), (47.0, 68.6, 71.9), (57.2, 77.1, 80.0), (57.6, 77.4, 80.6)):
        assert expected in values
    assert (47.3, 69.1, 72.6) in values
    assert (58.0, 78.1, 81.1) in values
    pearson = [tuple(paper_number(row["paper"][c]) for c in ("bi", "mono")) for row in sts["rows"] if not row.get("hidden")]
    for pair in ((72.3, 77.0), (80.2, 82.6), (77.1, 82.8), (79.9, 82.7), (79.5, 85.4), (74.3, 81.4), (80.5, 82.6)):
        assert pair in pearson


def test_the_papers_numbers_are_the_papers(shared: Path) -> None:
    """Every value with a deviation stands so in the paper's text."""
    text = re.sub(r"<[^>]*>", "", (shared / "paper.md").read_text(encoding="utf-8"))
    known = {f"{mean} ± {std}" for mean, std in re.findall(r"(\d+\.\d) ± (\d+\.\d)", text)}
    count = 0
    for file in FILES:
        for table in content(file)["tables"]:
            for row in table["rows"]:
                for value in row.get("paper", {}).values():
                    if "±" in str(value):
                        assert value in known, (file.stem, row["name"], value)
                        count += 1
    assert count > 300


def test_scale() -> None:
    assert _scaled(1) == ["data.fold=all"]
    assert _scaled(0.01) == ["data.fold=0", "train.tasks=70", "valid.tasks=20", "train.epochs=1"]
    assert _scaled(0.5)[1:] == ["train.tasks=3500", "valid.tasks=1000", "train.epochs=10"]
    assert _scaled(1e-9)[1:] == ["train.tasks=1", "valid.tasks=1", "train.epochs=1"]


def test_averages_pool_folds_and_rows() -> None:
    one, other = Value(0.5, 0.1, folds=(0.4, 0.6)), Value(0.7, 0.0, folds=(0.7, 0.7))
    pooled = _average([one, other], 2)
    assert pooled.mean == pytest.approx(0.6)
    assert pooled.std == pytest.approx(math.sqrt((0.04 + 0 + 0.01 + 0.01) / 3))
    assert math.isnan(_average([one], 2).mean)
    assert _average([Value(0.5, folds=(0.5,)), Value(0.7, folds=(0.7,))], 2).std is None


@pytest.fixture
def table() -> ResultTable:
    rows = (
        ResultRow("zero-shot", "A & B_1", "-", (Value(0.57, 0.029), Value(120.0, seconds=True)), ("57.0 ± 2.9", "2 min")),
        ResultRow("few-shot", "C", "mono→bi", (Value(0.61), Value(8280.0, seconds=True)), ("", "")),
        ResultRow("few-shot", "D|E", "{x}", (Value(), Value()), ("48.7 ± 2.6", ""), "needs --input x=PATH"),
    )
    return ResultTable("t", "A title", ("multi", "time"), rows, ("one fold",))


def test_markdown(table: ResultTable) -> None:
    assert table.markdown().splitlines() == [
        "### A title",
        "",
        "| model | trained as | multi | multi (paper) | time | time (paper) |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| A & B_1 | - | 57.0 ± 2.9 (2) | 57.0 ± 2.9 | 2 min 0 s | 2 min |",
        "| C | mono→bi | 61.0 (1) | - | 2 h 18 min | - |",
        "| D\\|E [1] | {x} | - | 48.7 ± 2.6 | - | - |",
        "",
        "- [1] needs --input x=PATH",
        "- one fold",
    ]


def test_csv(table: ResultTable) -> None:
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert rows[0]["multi"] == "57"  # the unit of the paper's column beside it
    assert rows[0]["multi std"] == "2.9"
    assert rows[0]["multi paper"] == "57.0 ± 2.9"
    assert rows[2]["multi"] == ""
    assert rows[2]["note"] == "needs --input x=PATH"


def test_latex(table: ResultTable) -> None:
    text = table.latex()
    assert r"A \& B\_1 & - & 57.0 $\pm$ 2.9 (2)" in text
    assert r"mono$\rightarrow$bi" in text
    assert r"\{x\}" in text
    assert text.count(r"\\") == 1 + 3 + 2  # header, rows, two parts
    assert r"\footnotesize [1] needs --input x=PATH" in text


def test_plots(table: ResultTable, tmp_path: Path) -> None:
    plot = {"kind": "bars", "group": "name", "series": "columns"}
    scores = ResultTable(
        "t",
        "A title",
        ("multi",),
        tuple(ResultRow(r.part, r.name, r.trained_as, r.values[:1], r.paper[:1], r.note) for r in table.rows),
    )
    png, svg = plot_table(scores, plot, tmp_path / "p")
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    first = svg.read_bytes()
    assert b"A title" in first or b"<svg" in first
    plot_table(scores, plot, tmp_path / "p")
    assert svg.read_bytes() == first
    empty = ResultTable("t", "t", ("multi",), (ResultRow("", "x", "-", (Value(),), ("57.0 ± 2.9",)),))
    assert plot_table(empty, plot, tmp_path / "none") == []


SMALL = ["sampler.support_size=2", "sampler.query_size=1", "sampler.num_negatives=1", "data.context=false"]


def test_table_1_through_the_command(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    sts = write_tracks(tmp_path / "sts")
    inputs = ["--input", f"xquad-r={MINI}", "--input", f"sts2017={sts}"]
    words = ["reproduce", "table1", "--scale", "0.0001", *inputs, f"encoder.model={tiny_model}"]
    done = cli(*words, *SMALL, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    markdown = (tmp_path / "reproduce" / "table1-xquad-r.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in markdown.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 11
    # Ours beside the paper's; what needs other files is empty and says which.
    by_name = {(row[0].lstrip("| ").partition(" [")[0], row[1]): row[2:] for row in rows}
    for key in (("S-BERT", "-"), ("S-BERT + Fine-tune", "mono-bi"), ("S-BERT + MAML", "trans")):
        assert re.match(r"\d+\.\d \(\d\)", by_name[key][0])
    assert by_name["S-BERT + MAML-Align", "mono-bi-multi"][1] == "57.6 ± 3.2"
    assert by_name["S-BERT + T-Train + MAML", "Arabic"][0] == "-"
    assert "needs --input squad-ar=PATH: SQuAD translated to Arabic" in markdown
    assert "https://console.cloud.google.com/storage/browser/xtreme_translations" in markdown
    assert "encoder.model=sentence-transformers/LaBSE: it is neither a folder nor can it be had" in markdown
    for ending in (".csv", ".tex", ".png", ".svg"):
        assert (tmp_path / "reproduce" / f"table1-sts2017{ending}").stat().st_size > 200
    # Again: nothing is run twice, and another table shares the runs.
    done = cli(*words, *SMALL, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("(done before)") == 7
    assert (tmp_path / "reproduce" / "table1-xquad-r.md").read_text(encoding="utf-8") == markdown
    shared_runs = ["reproduce", "figure3", "--scale", "0.0001", *inputs, f"encoder.model={tiny_model}"]
    done = cli(*shared_runs, *SMALL, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("(done before)") == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table9"], "table9: no such experiment; did you mean"),
        (["table1", "--input", "xquad=/"], "--input xquad: table1 takes no such input; did you mean xquad-r"),
        (["table1", "--input", "xquad-r"], "--input xquad-r: expected NAME=PATH"),
        (["table1", "--input", "xquad-r=/no/such"], "--input xquad-r=/no/such: no such file or folder"),
        (["table1", "--scale", "2"], "--scale 2: expected a number above 0 and at most 1"),
        (["table1", "--input", "xquad-r=.", "train.task=3"], "train.task=3: fits no row of table1"),
    ],
)
def test_bad_input(cli: Cli, tmp_path: Path, words: list[str], said: str) -> None:
    done = cli("reproduce", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "reproduce").exists()


def test_without_any_input_it_says_what_to_bring_and_fails(cli: Cli, tmp_path: Path) -> None:
    done = cli("reproduce", "figure5")
    assert done.returncode == 1
    assert "needs --input xquad-r=PATH: Folder with ar.json" in done.stdout


def test_a_local_copy_stands_for_a_model_and_paths_may_hold_anything(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    data = tmp_path / "my data, [x]"
    data.mkdir()
    for language in ("ar", "de", "el", "hi", "ru", "th", "tr"):
        (data / f"{language}.json").write_bytes((MINI / f"{language}.json").read_bytes())
    given = ["--input", f"xquad-r={data}", "--input", f"sentence-transformers/LaBSE={tiny_model}"]
    done = cli(
        "reproduce", "table5", "--scale", "0.5", *given, "data.context=false", HF_HUB_OFFLINE="1", METASEARCH_CACHE="/dev/null"
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO((tmp_path / "reproduce" / "table5-xquad-r.csv").read_text(encoding="utf-8"))))
    measured = {row["model"] for row in rows if row["multi"]}
    assert {"LaBSE", "BM25"} <= measured
    assert not list((tmp_path / "reproduce").rglob("model"))  # tables keep no models
    done = cli("reproduce", "table5", *given, "encoder.model=x")
    assert done.returncode == 2
    assert "fits no row of table5" in done.stderr
