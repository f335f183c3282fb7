"""Transfer modes and arrangements: ``mode=...``."""

from __future__ import annotations

from tests.bad_inputs import Case


def _mode(mode: str, *said: str, process: bool = False) -> Case:
    return Case(f"arrangement: {mode[:40]!a}", ("run", f"mode='{mode}'"), ("mode=", *said), process=process)


CASES = [
    _mode("", "no such mode"),
    _mode(" ", "no such mode"),
    _mode("mono-bii", "did you mean mono-bi", process=True),
    _mode("->", "'' is not question_candidate"),
    _mode("el_el", "found 1"),
    _mode("el_el -> ", "'' is not question_candidate"),
    _mode(" -> el_el", "'' is not question_candidate"),
    _mode("el_el -> el", "'el' is not question_candidate"),
    _mode("el_el -> _", "'' in '_' is not a language code"),
    _mode("el_el -> el_", "'' in 'el_' is not a language code"),
    _mode("el_el -> el_{}", "'' in 'el_{}' is not a language code"),
    _mode("el_el -> el_{ar,}", "'' in 'el_{ar,}' is not a language code"),
    _mode("el_el -> el_{ar", "is not a language code"),
    _mode("el_el -> el_ar}", "is not a language code"),
    _mode("el_el -> el_{{ar}}", "is not a language code"),
    _mode("el_el -> {el_ar,{ar_el}", "is not a language code"),
    _mode("el_el -> el_{ar,ar}", "names a language twice"),
    _mode("el_el -> el_ar_de", "'ar_de' in 'el_ar_de' is not a language code"),
    _mode("el_el -> el_ar,de", "is not a language code"),
    _mode("el_el -> el_1r", "'1r'"),
    _mode("el_el -> el_../ar", "'../ar'"),
    _mode("el_el -> el_\u202ear", "is not a language code"),
    _mode("el_el -> el_a\x1b[2Jr", "is not a language code"),
    _mode("el_el -> el_ａｒ", "is not a language code"),
    _mode("el_el -> el_ar ; de_de", "every line needs the same number of sets", "found 2, 1"),
    _mode(" ; ", "no such mode"),
    _mode("_ ; -> ;", "is not a language code"),
    _mode("el_el -> el_ar -> el_hi -> el_de", "a chain of 4 sets", "takes chains of 3"),
    _mode("el_el -> el_xx -> el_el", "has no xx"),
    _mode("el_" + "x" * 100_000 + " -> el_el", "is not a language code"),
    _mode("el_el" + " -> el_el" * 100, "a chain of 101 sets"),
    Case("arrangement: a number", ("run", "mode=3"), ("mode=3 (from the command line): expected text or null",)),
    Case("arrangement: a list", ("run", "mode=[el_el]"), ("mode=['el_el'] (from the command line): expected text or null",)),
]
