"""Index a corpus, and search it."""
