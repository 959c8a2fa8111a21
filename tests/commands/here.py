"""A command in this process: what it prints and its exit code, as a user gets them, at a fraction of a process's price."""

from __future__ import annotations

import decimal
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import attrs

from coldframe import cli

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"


@attrs.frozen
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def coldframe(*args: object, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> Done:
    """Runs one command to its end in a folder, with these variables in its environment."""
    out, err = io.StringIO(), io.StringIO()
    with _as_before(), chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        os.environ.update(env or {})
        try:
            code = cli.main([str(arg) for arg in args])
        except SystemExit as ended:  # of the argument parser
            code = ended.code if isinstance(ended.code, int) else 1
    return Done(code, out.getvalue(), err.getvalue())


@contextmanager
def _as_before() -> Iterator[None]:
    """What a command changes in its process is put back."""
    environment, context = dict(os.environ), decimal.getcontext().copy()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        decimal.setcontext(context)
