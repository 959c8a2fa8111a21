"""The venue under clients that other people wrote. Needs the interop extra: `python -m pytest -m interop tests/interop`."""
