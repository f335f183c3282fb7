"""``python -m metasearch``: the same as the command ``metasearch``."""

from metasearch.cli import main

if __name__ == "__main__":
    main()
