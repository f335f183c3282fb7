"""Interface of data sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from metasearch.core.corpus import AnyCorpus, Candidate, PairCorpus
from metasearch.errors import ConfigError, DataError


class Dataset(ABC):
    """Reads files into a :class:`~metasearch.core.corpus.Corpus` or :class:`~metasearch.core.corpus.PairCorpus`.

    A data set does not split: ``data.fold`` is applied afterwards, the same way for every data set, by
    :func:`metasearch.dataset.make_splits`. Constructor arguments are the options that its
    :class:`~metasearch.registry.Component` record declares.

    Class attributes:
        kind: what its examples are; a sampler and a loss must want the same. ``"triplets"`` for questions
            with candidates, ``"pairs"`` for scored sentence pairs.
        dev_share: share of all questions (or pairs) that a fold's dev part holds.
        citation: how to cite the data, for model cards. May be empty.
        license: licence of the data, for model cards. May be empty.
    """

    kind: ClassVar[str] = "triplets"
    dev_share: ClassVar[float] = 220 / 1190  # the paper's Table 2
    citation: ClassVar[str] = ""
    license: ClassVar[str] = ""

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether ``path`` looks like this data set's format, so that ``data.path`` can be given to it.

        Used by ``metasearch data describe``; a look at names is enough. The default recognises nothing.
        """
        return False

    @classmethod
    def documents(cls, path: Path) -> Iterator[Candidate]:
        """The candidates of the data at ``path``, one after the other, for an index over them.

        The default reads everything first; a data set whose files may not fit in memory streams them instead. Groups may then be
        empty, and an id that stands twice is not noticed.

        Args:
            path: what :meth:`reads` recognised.

        Raises:
            DataError: as :meth:`load`, or the data has no candidates because it is sentence pairs.
        """
        corpus = cls(path=str(path)).load()  # type: ignore[call-arg]  # whoever reads paths has this option
        if isinstance(corpus, PairCorpus):
            raise DataError(
                f"{path}: holds scored sentence pairs ({corpus.name}), which have no candidates; an index takes questions with "
                "candidates, or a table of texts"
            )
        return iter(corpus.candidates)

    @abstractmethod
    def load(self) -> AnyCorpus:
        """Read everything the options ask for.

        Returns:
            The corpus; records that had to be left out are listed in ``problems``.

        Raises:
            DataError: a file is missing or malformed, or a language asked for is not there. The message names
                the file, the place, what was found and what was expected.
        """

    def load_translated(self, files: Mapping[str, str]) -> AnyCorpus:
        """Read machine-translated training files (``data.translated``), for translate-train.

        Args:
            files: language -> path. The same ids in two files are the same questions.

        Returns:
            A corpus of the same kind as :meth:`load`'s, whose groups and candidate ids cannot be the data set's own.

        Raises:
            ConfigError: this data set has no such format (the default).
            DataError: as :meth:`load`.
        """
        raise ConfigError(f"data.translated: {type(self).__name__} reads no translated training files")
