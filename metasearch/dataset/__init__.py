"""What is done with every data set alike: splitting into folds, describing."""

from metasearch.dataset.splits import FOLDS, Split, make_splits

__all__ = ["FOLDS", "Split", "make_splits"]
