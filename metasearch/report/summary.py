"""From score rows to the figures that people compare: means per variant and supervision, over languages and folds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from metasearch.evaluation import OWN_LANGUAGE, VARIANTS, Row


@dataclass(frozen=True)
class Summary:
    """Mean over languages (or pairs) within a fold, then mean and standard deviation over folds.

    Attributes:
        mean: 0..1; NaN where there are no rows.
        std: over folds; None with one fold.
        folds: the per-fold means.
    """

    mean: float
    std: float | None
    folds: tuple[float, ...]

    def shown(self) -> str:
        """X 100, with one decimal, as on screen."""
        if math.isnan(self.mean):
            return "-"
        return f"{100 * self.mean:.1f}" + ("" if self.std is None else f" ± {100 * self.std:.1f}")


def summarise(
    rows: Sequence[Row],
    metric: str,
    variant: str | None,
    supervision: str | None = None,
    query_language: str | None = None,
) -> Summary:
    """Summarise the rows of one metric and variant (None: all), of one degree of supervision or question language if given."""
    per_fold: dict[int | None, list[float]] = {}
    for row in rows:
        if (
            row.metric == metric
            and variant in (None, row.variant)
            and supervision in (None, row.supervision)
            and query_language in (None, row.query_language)
        ):
            per_fold.setdefault(row.fold, []).append(row.value)
    means = tuple(statistics.fmean(values) for values in per_fold.values())
    if not means:
        return Summary(math.nan, None, ())
    return Summary(statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else None, means)


@dataclass(frozen=True)
class Table:
    """A table for any outlet: terminal, Markdown, model card."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As a GitHub table."""
        lines = [self.header, tuple("---" if i == 0 else "---:" for i in range(len(self.header))), *self.rows]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def score_table(before: Sequence[Row], after: Sequence[Row], metric: str, by_track: bool = False) -> Table:
    """Scores per question language (or track, for sentence pairs) and variant; before and after training where both are there.

    A language's bilingual score is the mean over the other languages' pools, of either degree of supervision; the means by degree
    count a pair as few-shot only if training saw both languages. Rows of other metrics are left out.
    """
    before, after = ([row for row in rows if row.metric == metric] for rows in (before, after))
    variants = [v for v in VARIANTS if any(row.variant == v for row in after)]
    both = bool(before)
    header = ["pairs of" if by_track else "questions in"]
    for variant in variants:
        header += [f"{variant} before", f"{variant} after"] if both else [variant]
    # A language was seen if any of its rows is few-shot: all of multi and mono, and the pairs of seen languages.
    seen = {row.query_language for row in after if row.supervision == "few-shot"}
    languages = sorted({row.query_language for row in after}, key=lambda language: (language not in seen, language))
    degrees = sorted({row.supervision for row in after}) if seen else []
    base = _relabelled(before, after)
    body: list[tuple[str, ...]] = []

    def line(
        title: str, supervision: str | None = None, query_language: str | None = None, track: tuple[str, ...] | None = None
    ) -> None:
        cells = [title]
        of_track = [[r for r in rows if track in (None, (r.query_language, *r.candidate_languages))] for rows in (base, after)]
        for variant in variants:
            shown = of_track if both else of_track[1:]
            cells += [summarise(rows, metric, variant, supervision, query_language).shown() for rows in shown]
        body.append(tuple(cells))

    if by_track:
        for row_track in sorted({(r.query_language, *r.candidate_languages) for r in after}):
            of_it = [r for r in after if (r.query_language, *r.candidate_languages) == row_track]
            line("_".join(row_track) + (f" ({of_it[0].supervision})" if seen else ""), track=row_track)
    else:
        for language in languages:
            mark = f" ({'few-shot' if language in seen else 'zero-shot'})" if seen else ""
            line(language + mark, query_language=language)
    if len(degrees) > 1:
        for degree in degrees:
            line(f"mean, {degree}", degree)
    line("mean")
    return Table(f"{metric} x 100", tuple(header), tuple(body))


def own_language_line(before: Sequence[Row], after: Sequence[Row]) -> str | None:
    """How much of the first 20 in *multi* is in the question's own language, in words; None where that was not measured.

    It is the mean over question languages, then over folds, as for scores.
    """
    found = [summarise(rows, OWN_LANGUAGE, "multi") for rows in (before, after)]
    if not found[1].folds:
        return None
    said = f"{found[0].shown()} before, {found[1].shown()} after" if found[0].folds else found[1].shown()
    return f"{OWN_LANGUAGE} x 100: {said} (of the first 20 in multi, those in the question's language)"


def _relabelled(before: Sequence[Row], after: Sequence[Row]) -> list[Row]:
    """The untrained encoder's rows with the degree of supervision that they have after training."""
    degree = {(r.variant, r.query_language, r.candidate_languages): r.supervision for r in after}
    return [
        replace(r, supervision=degree.get((r.variant, r.query_language, r.candidate_languages), r.supervision)) for r in before
    ]
