"""A static encoder for metasearch."""
