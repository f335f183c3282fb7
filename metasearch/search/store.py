"""Vectors and texts on disk while an index is built; texts stay there to be shown."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metasearch.core import held
from metasearch.errors import ConfigError, DataError
from metasearch.search.documents import Document

VECTORS = "vectors.f32"
TEXTS = "documents.sqlite"
_ENDS = 16 * 2**20  # bytes at either end of a file that its digest looks at
_TABLES = """
CREATE TABLE documents (position INTEGER PRIMARY KEY, id TEXT NOT NULL, language TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE progress (count INTEGER NOT NULL, digest TEXT NOT NULL, seconds REAL NOT NULL);
"""


@dataclass(frozen=True)
class Progress:
    """How far encoding has come.

    Attributes:
        count: documents whose vectors and texts are on disk.
        digest: :class:`~metasearch.search.documents.RunningHash` of them.
        seconds: that encoding them took.
    """

    count: int = 0
    digest: str = ""
    seconds: float = 0.0


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder and keep other processes from building in it; what is still empty at the end is removed.

    Raises:
        ConfigError: another process is building there, or the folder cannot be made.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be made: {error.strerror or error}") from error
    try:
        with held(folder, f"--out {folder}: another process is building an index there; wait for it"):
            yield
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


class Store:
    """Vectors in a raw float32 file, and texts in an SQLite file, by position.

    A block is written vectors first; the transaction that holds its texts then counts it. So after a crash the vectors file is as
    long as the database says, or longer, and :meth:`resume` cuts off the rest.

    Args:
        folder: of the index.
    """

    def __init__(self, folder: Path) -> None:
        self.vectors, self.texts = folder / VECTORS, folder / TEXTS
        self.dimension = 0

    def progress(self) -> Progress:
        """What an earlier build left; nothing where there was none."""
        if not self.texts.exists():
            return Progress()
        try:
            with contextlib.closing(sqlite3.connect(self.texts)) as database:
                row = database.execute("SELECT count, digest, seconds FROM progress").fetchone()
        except sqlite3.OperationalError:  # killed before its tables were made
            return Progress()
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.texts}: damaged ({error}); remove the folder and build again") from error
        return Progress(*row) if row else Progress()

    def resume(self, dimension: int, done: Progress) -> None:
        """Make the files, or cut them to what is counted.

        Raises:
            DataError: there are fewer vectors than are counted.
        """
        self.dimension = dimension
        with self.vectors.open("ab") as file:
            size = 4 * dimension * done.count
            if file.tell() < size:
                raise DataError(f"{self.vectors}: {file.tell()} bytes, expected {size}; remove the folder and build again")
            file.truncate(size)
        self._database = sqlite3.connect(self.texts)
        if done.count == 0:
            self._database.executescript("DROP TABLE IF EXISTS documents; DROP TABLE IF EXISTS progress;" + _TABLES)

    def append(self, vectors: np.ndarray, documents: Sequence[Document], done: Progress) -> None:
        """Add a block, vectors float32 ``(len(documents), dimension)``; afterwards ``done`` is what :meth:`progress` says."""
        with self.vectors.open("ab") as file:
            file.write(np.ascontiguousarray(vectors, dtype=np.float32).data)
            file.flush()
            os.fsync(file.fileno())
        first = done.count - len(documents)
        rows = ((first + i, d.id, d.language, d.text) for i, d in enumerate(documents))
        with self._database:
            self._database.executemany("INSERT INTO documents VALUES (?, ?, ?, ?)", rows)
            self._database.execute("DELETE FROM progress")
            self._database.execute("INSERT INTO progress VALUES (?, ?, ?)", (done.count, done.digest, done.seconds))

    def close(self) -> None:
        self._database.close()

    def blocks(self, rows: int = 8192) -> Iterator[np.ndarray]:
        """All vectors in order, float32 ``(at most rows, dimension)`` at a time."""
        with self.vectors.open("rb") as file:
            while raw := file.read(4 * self.dimension * rows):
                yield np.frombuffer(raw, dtype=np.float32).reshape(-1, self.dimension)

    def pick(self, positions: np.ndarray) -> np.ndarray:
        """The vectors at ``positions``, float32 ``(len(positions), dimension)``."""
        picked = np.empty((len(positions), self.dimension), dtype=np.float32)
        with self.vectors.open("rb", buffering=0) as file:  # not mapped: pages that were touched would count as memory in use
            for row, position in zip(picked, positions.tolist(), strict=True):
                file.seek(4 * self.dimension * position)
                file.readinto(row.data)
        return picked


class Texts:
    """The documents of a finished index, by position. The file is opened for each call, so any thread may ask.

    Args:
        file: as :class:`Store` wrote it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def at(self, positions: Sequence[int]) -> list[Document]:
        """The documents at ``positions``, in that order.

        Raises:
            DataError: one is not there, or the file is damaged.
        """
        with self._open() as database:
            rows = [
                database.execute("SELECT id, language, text FROM documents WHERE position = ?", (position,)).fetchone()
                for position in positions
            ]
        if None in rows:
            raise DataError(f"{self.file}: has no document at position {positions[rows.index(None)]}; build the index again")
        return [Document(*row) for row in rows]

    def languages(self) -> dict[str, int]:
        """Language -> number of its documents, sorted; ``""`` stands for not known."""
        with self._open() as database:
            rows = database.execute("SELECT language, COUNT(*) FROM documents GROUP BY language ORDER BY language").fetchall()
        return {str(language): int(count) for language, count in rows}

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True)) as database:
                yield database
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.file}: damaged: {error}; build the index again") from error


def file_state(file: Path) -> dict[str, int | str]:
    """Size, and SHA-256 of the first and the last 16 MiB: what full disks, interrupted copies and mixed-up files change."""
    size = file.stat().st_size
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        digest.update(opened.read(_ENDS))
        opened.seek(max(_ENDS, size - _ENDS))
        digest.update(opened.read(_ENDS))
    return {"bytes": size, "sha256_of_ends": digest.hexdigest()}
