"""The paper's tables and figures as files that ``metasearch reproduce`` reads."""
