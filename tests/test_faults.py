"""The machine fails: disks fill, memory ends, files vanish. A message, and nothing lost."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from metasearch.cli import main
from metasearch.errors import fault
from tests.conftest import Cli

QUICK = ("algo=fine-tune", "mode=ar_ar->ar_de", "data.languages=[ar,de]", "train.tasks=6", "train.epochs=1", "valid.tasks=0")
MORE = ("train.checkpoint_every=1", "eval.variants=[multi]", "eval.baseline=false", "algo.meta_batch_size=2")


def test_a_full_disk(tiny_model: Path, tmp_path: Path) -> None:
    """The system refuses to let a file grow, as a full disk does, from the first checkpoint on; then there is room again."""
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (200_000, 200_000))
    command = [sys.executable, "-W", "ignore", "-m", "metasearch", "run", *QUICK, *MORE, f"encoder.model={tiny_model}", "out=r"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        preexec_fn=limit,
        env={**os.environ, "METASEARCH_CACHE": str(tmp_path / "c")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "metasearch run --resume DIR" in done.stderr
    assert not list((tmp_path / "r" / "checkpoints").glob("*.safetensors*"))  # nor half of one
    again = [*command[:5], "run", "--resume", "r", "--quiet"]
    done = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r" / "results.json").is_file()


def test_memory_that_runs_out(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from metasearch_plugins.encoders.triplet import TripletEncoder

    embed, calls = TripletEncoder.embed, []

    def full(self: TripletEncoder, *arguments: object) -> object:
        calls.append(1)
        if len(calls) == 6:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nlong story")
        return embed(self, *arguments)

    monkeypatch.setattr(TripletEncoder, "embed", full)
    with pytest.raises(SystemExit) as ended:
        main(["run", *QUICK, *MORE, f"encoder.model={tiny_model}", f"out={tmp_path / 'r'}", "--quiet"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "CUDA out of memory. Tried to allocate 2.00 GiB.; in this order lower algo.keep_graphs" in said
    assert "long story" not in said
    assert list((tmp_path / "r" / "checkpoints").glob("state-*"))
    monkeypatch.setattr(TripletEncoder, "embed", embed)
    main_done(["run", "--resume", str(tmp_path / "r"), "--quiet"])


def main_done(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code in (0, None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), "runs/x: No space left on device; what was written before"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/x"), "runs/x: Permission denied; "),
        (RuntimeError("I/O error: File too large (os error 27)"), "File too large"),
        (RuntimeError("Error: IoError(Os { code: 28, kind: StorageFull })"), "StorageFull"),
        (MemoryError(), "out of memory; in this order lower algo.keep_graphs"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "lower algo.keep_graphs"),
    ],
)
def test_faults_in_words(error: BaseException, said: str) -> None:
    assert said in str(fault(error))


def test_other_errors_are_no_fault_of_the_machine() -> None:
    assert fault(ValueError("x")) is None
    assert fault(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None


def test_a_folder_that_cannot_be_written(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = cli("run", "algo=zero-shot", f"encoder.model={tiny_model}", "out=file/r")
    assert done.returncode == 2
    assert "out=file/r: cannot be written" in done.stderr


def test_a_data_file_that_vanishes(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from metasearch_plugins.datasets import pairs

    table = tmp_path / "t.csv"
    table.write_text("anchor,positive\nwer?,ich\n", encoding="utf-8")
    read = pairs.read_rows

    def gone(file: Path) -> object:
        table.unlink()
        return read(file)

    monkeypatch.setattr(pairs, "read_rows", gone)
    with pytest.raises(SystemExit) as ended:
        main(
            ["run", "algo=zero-shot", "data=pairs", f"data.path={table}", f"encoder.model={tiny_model}", f"out={tmp_path / 'r'}"]
        )
    assert ended.value.code == 2
    assert f"{table}: cannot be read: No such file" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
