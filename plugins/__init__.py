"""The components that metasearch ships, as a plugin like any other (entry point ``shipped``)."""
