"""Configuration files: ``metasearch run --config FILE``."""

from __future__ import annotations

from tests.bad_inputs import Case, Content

_RUN = ("run", "--config", "c.yaml")


def _config(name: str, content: Content, *said: str, process: bool = False) -> Case:
    return Case(f"config: {name}", _RUN, ("c.yaml", *said), {"c.yaml": content}, process=process)


CASES = [
    Case("config: no such file", _RUN, ("c.yaml: cannot be read: No such file",)),
    Case("config: a folder", _RUN, ("c.yaml: cannot be read: Is a directory",), prepare=lambda f: (f / "c.yaml").mkdir()),
    _config("UTF-16", "seed: 1\n".encode("utf-16"), "not UTF-8 text (byte 0)", process=True),
    _config("Latin-1", "seed: 1\nout: Grüße\n".encode("latin-1"), "not UTF-8 text (byte 15)"),
    _config("a NUL", b"seed: 1\nout: a\0b\n", "c.yaml:2", "not valid YAML"),
    _config("an escape sequence", b"seed: 1\nout: a\x1b[2Jb\n", "c.yaml:2", "not valid YAML"),
    _config("half a surrogate pair", b'out: "a\\ud800"\n', "out=a\\ud800 (from c.yaml): holds a NUL or half a surrogate pair"),
    _config("binary", bytes(range(256)), "not UTF-8 text (byte 128)"),
    _config("a list", "- seed: 1\n", "expected `key: value` lines, found list"),
    _config("a text", "seed\n", "expected `key: value` lines, found str"),
    _config("a number", "17\n", "expected `key: value` lines, found int"),
    _config("a bracket left open", "seed: 1\ndata: [a, b\n", "c.yaml:3: not valid YAML"),
    _config("a tab for indentation", "train:\n\ttasks: 3\n", "c.yaml:2: not valid YAML"),
    _config("a key twice", "seed: 1\nout: a\nseed: 2\n", "c.yaml:3: not valid YAML: key 'seed' stands twice"),
    _config("a key twice, deep", "train:\n  tasks: 1\n  tasks: 2\n", "c.yaml:3", "key 'tasks' stands twice"),
    _config("a key that is no word", "3: 4\n", "c.yaml:1", "key 3 is not a word"),
    _config("a list for a key", "[1, 2]: 3\n", "c.yaml:1", "is not a word"),
    _config(
        "a Python object", "out: !!python/object/apply:os.system ['touch broken']\n", "c.yaml:1", "python/object", process=True
    ),
    _config("a Python name", "out: !!python/name:os.system\n", "c.yaml:1", "python/name"),
    _config("a Python tuple", "out: !!python/tuple [a]\n", "c.yaml:1", "python/tuple"),
    _config("a tag of its own", "out: !shell rm\n", "c.yaml:1", "!shell"),
    _config("two documents", "seed: 1\n---\nseed: 2\n", "c.yaml:2", "not valid YAML"),
    _config("an anchor that holds itself", "train: &a\n  tasks: *a\n", "c.yaml"),
    _config(
        "aliases that grow a billionfold",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "c.yaml:2: not valid YAML: *a: no aliases",
    ),
    _config("nested ten thousand deep", "a: " + "[" * 10_000 + "]" * 10_000, "not valid YAML"),
    _config("a number of ten thousand digits", "seed: " + "9" * 10_000, "not valid YAML"),
    _config("a line of ten megabytes", "seed: '" + "x" * 10_000_000 + "'\n", "c.yaml: more than 1048576 bytes"),
    _config("a line of a megabyte", "seed: " + "x" * 1_000_000 + "\n", "seed=", "expected a whole number, at least 0"),
    _config("a key of ten thousand letters", "x" * 10_000 + ": 1\n", "c.yaml:1: not valid YAML"),
    _config("unknown key", "sead: 1\n", "sead: no such key (from c.yaml); did you mean seed?"),
    _config("unknown group", "tran:\n  tasks: 3\n", "tran", "no such key (from c.yaml)"),
    _config("unknown key in a group", "train:\n  taks: 3\n", "train.taks: no such key", "did you mean train.tasks"),
    _config("unknown key three deep", "train:\n  tasks:\n    more: 3\n", "train.tasks=", "expected a whole number, at least 1"),
    _config("a group that is a number", "train: 3\n", "train", "c.yaml"),
    _config("a group that is a list", "train: [tasks]\n", "train", "c.yaml"),
    _config("a group that is nothing", "train:\n", "train", "c.yaml"),
    _config(
        "a component's group that is a list", "algo: [maml]\n", "algo=['maml'] (from c.yaml): expected the name of a component"
    ),
    _config(
        "a component's name that is a number", "algo:\n  name: 3\n", "algo=3 (from c.yaml): expected the name of a component"
    ),
    _config("a component's name that is empty", 'algo: ""\n', "algo=: no algo has this name"),
    _config("unknown component", "algo: mamml\n", "algo=mamml", "did you mean maml?"),
    _config("a component by its class", "algo: os:system\n", "algo=os:system: no algo has this name"),
    _config("a path for a component", "encoder: ../../evil.py\n", "encoder=../../evil.py: no encoder has this name"),
    _config("unknown preset", "preset: ../../etc/passwd\n", "preset=../../etc/passwd: no such preset"),
    _config("a preset that is a list", "preset: [quick]\n", "preset=['quick']: no such preset"),
    _config("a number too small", "train:\n  tasks: 0\n", "train.tasks=0 (from c.yaml)", "at least 1"),
    _config("NaN", "algo:\n  inner_lr: .nan\n", "algo.inner_lr=.nan (from c.yaml): expected a number"),
    _config("a number too large", "algo:\n  inner_lr: 1e999\n", "algo.inner_lr=inf (from c.yaml): expected a number"),
    _config("true for a number", "seed: true\n", "seed=true (from c.yaml): expected a whole number"),
    _config("a fraction for a whole number", "seed: 1.0\n", "seed=1.0 (from c.yaml): expected a whole number"),
    _config("trust_remote_code", "encoder:\n  trust_remote_code: true\n", "encoder.trust_remote_code: no such key"),
    Case("config: an escape sequence in a value", _RUN, ("mode='\\x1b[2J': no such mode",), {"c.yaml": 'mode: "\\e[2J"\n'}),
    _config("a seed that PyTorch does not take", f"seed: {2**63}\n", "seed=9223372036854775808 (from c.yaml)", "at most"),
    _config("nested a hundred deep", "eval:\n  variants: " + "[" * 100 + "]" * 100, "c.yaml:2", "nested more than 20 deep"),
    _config("two mistakes", "seed: -1\ntrain:\n  tasks: 0\n", "seed=-1", "train.tasks=0"),
    _config("a NUL in a path", 'out: "a\\0b"\n', "out"),
    _config("a NUL in the path of data", 'data:\n  name: beir\n  path: "a\\0b"\n', "data.path"),
    _config("a direction override in a key", '"se\\u202Eed": 1\n', "no such key"),
]
