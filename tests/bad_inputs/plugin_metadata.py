"""Plugins whose metadata or records are wrong: each costs its own names, and is an error where the switch says so."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bad_inputs import Case, Content

_STRICT = {"METASEARCH_LOAD_PLUGINS": "./bad.py", "METASEARCH_STRICT_PLUGINS": "1"}
_HEAD = "from metasearch.registry import Component, hookimpl\n\n\n@hookimpl\ndef metasearch_register_loss():\n    return "


def _plugin(
    name: str, code: Content, *said: str, words: Sequence[str] = ("run", "loss=bad"), code_of: int = 3, process: bool = False
) -> Case:
    said = ("bad.py", "could not be loaded", *said)
    return Case(f"plugin: {name}", words, said, {"bad.py": code}, code=code_of, environment=_STRICT, process=process)


def _record(name: str, record: str, *said: str) -> Case:
    return _plugin(name, f"{_HEAD}[{record}]\n", *said)


CASES = [
    _plugin("no Python", "this is no Python\n", "SyntaxError", process=True),
    _plugin("a NUL", b"x = 1\0\n", "Error"),
    _plugin("not UTF-8", b'x = "\xff"\n', "SyntaxError"),
    _plugin("it ends the process", "raise SystemExit(0)\n", "SystemExit", process=True),
    _plugin("it raises with an escape sequence", "raise ValueError('\\x1b[2J\\x9b')\n", "ValueError: \\u001b[2J\\u009b"),
    _plugin("a package that is not there", "import no_such_package_at_all\n", "No module named 'no_such_package_at_all'"),
    _plugin(
        "a misspelt hook",
        "from metasearch.registry import hookimpl\n\n\n@hookimpl\ndef metasearch_register_los():\n    return []\n",
        "metasearch_register_los",
    ),
    _plugin("a hook with unknown arguments", f"{_HEAD.replace('loss()', 'loss(what)')}[]\n", "what"),
    _plugin("a hook that returns a number", f"{_HEAD}3\n", "TypeError"),
    _record("no record", "{'name': 'bad'}", "expected Component records"),
    _record("a name with a space", "Component('bad name', 'a:B', 'x')", "'bad name' is no component name"),
    _record("a name with an escape sequence", "Component('bad\\x1b[2J', 'a:B', 'x')", "is no component name"),
    _record("a name that is a path", "Component('../bad', 'a:B', 'x')", "'../bad' is no component name"),
    _record("a name that is a number", "Component(3, 'a:B', 'x')", "3 is no component name"),
    _record("a name twice", "Component('bad', 'a:B', 'x'), Component('bad', 'a:C', 'y')", "'bad' is registered twice"),
    _record("a target without a class", "Component('bad', 'a.B', 'x')", "target 'a.B' is not 'package.module:Class'"),
    _record("a summary of two lines", "Component('bad', 'a:B', 'x\\ny')", "the summary must be one line"),
    _record("aliases that are a text", "Component('bad', 'a:B', 'x', aliases='b')", "aliases is the text 'b'"),
    _record("an option that is no schema", "Component('bad', 'a:B', 'x', options={'o': 3})", "the schema of option 'o' is 3"),
    _record(
        "an option without a default",
        "Component('bad', 'a:B', 'x', options={'o': {'type': 'integer'}})",
        "option 'o' has no default",
    ),
    Case(
        "plugin: a class that is not there",
        ("plugins", "show", "loss", "badd"),
        ("loss=badd: no loss has this name; did you mean bad?",),
        {"bad.py": f"{_HEAD}[Component('bad', 'a:B', 'x')]\n"},
        environment={"METASEARCH_LOAD_PLUGINS": "./bad.py"},
    ),
    Case(
        "plugin: a class that cannot be imported",
        ("run", "loss=bad"),
        ("loss 'bad' of", "could not be loaded from no_such_module_at_all:B: ModuleNotFoundError"),
        {"bad.py": f"{_HEAD}[Component('bad', 'no_such_module_at_all:B', 'x')]\n"},
        code=3,
        environment={"METASEARCH_LOAD_PLUGINS": "./bad.py"},
    ),
    Case(
        "plugin: a class of another kind",
        ("run", "loss=bad"),
        ("loss 'bad' of", "collections:Counter is not a subclass of Loss"),
        {"bad.py": f"{_HEAD}[Component('bad', 'collections:Counter', 'x')]\n"},
        code=3,
        environment={"METASEARCH_LOAD_PLUGINS": "./bad.py"},
    ),
    Case(
        "plugin: a schema that is none",
        ("run", "loss=bad"),
        ("the schema of its option 'o' is not JSON Schema",),
        {"bad.py": f"{_HEAD}[Component('bad', 'a:B', 'x', options={{'o': {{'type': 'colour', 'default': 1}}}})]\n"},
        code=3,
        environment={"METASEARCH_LOAD_PLUGINS": "./bad.py"},
    ),
    Case(
        "plugin: options that are a text",
        ("plugins", "show", "loss", "bad"),
        ("loss 'bad': options",),
        {"bad.py": f"{_HEAD}[Component('bad', 'a:B', 'x', options='')]\n"},
        code=3,
        environment=_STRICT,
    ),
    Case(
        "plugin: a file that is not there",
        ("run",),
        ("no such file", "gone.py"),
        code=3,
        environment={"METASEARCH_LOAD_PLUGINS": "./gone.py", "METASEARCH_STRICT_PLUGINS": "1"},
    ),
    Case(
        "plugin: a name that is not installed",
        ("run",),
        ("METASEARCH_LOAD_PLUGINS names it, but no installed plugin is called so",),
        code=3,
        environment={"METASEARCH_LOAD_PLUGINS": "gone\x1b[2J", "METASEARCH_STRICT_PLUGINS": "1"},
    ),
    Case(
        "plugin: a broken one is a warning without the switch",
        ("plugins", "list"),
        ("maml-align", "broken"),
        {"bad.py": "raise ValueError('\\x1b]8;;http://x\\x07')\n"},
        code=0,
        environment={"METASEARCH_LOAD_PLUGINS": "./bad.py"},
    ),
]
