"""Implicit MAML for metasearch."""
