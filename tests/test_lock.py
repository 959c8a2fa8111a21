"""The lock names every package that a bot runs on, and each by its hash: what is installed from it is no other (faults.md X13)."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WANTED = [Requirement(line) for line in PROJECT["dependencies"]]

#: What each package is there for. A name that is new in the lock has to be looked at, and written down here.
REVIEWED = {
    "anyio": "of httpx2",
    "attrs": "classes",
    "cattrs": "configuration and journal rows into classes",
    "cffi": "of cryptography and, on Windows, trio",
    "cryptography": "signatures",
    "filelock": "locks between processes",
    "h11": "HTTP of the embedded exchange",
    "httpcore2": "of httpx2",
    "httpx2": "REST",
    "httpx2-jsfetch": "of httpx2, in a browser only",
    "idna": "of trio and httpx2",
    "markdown-it-py": "of rich",
    "mdurl": "of rich",
    "msgspec": "JSON",
    "outcome": "of trio",
    "pluggy": "plugins",
    "pycparser": "of cffi",
    "pygments": "of rich",
    "rich": "the live view",
    "sniffio": "of trio",
    "sortedcontainers": "of trio",
    "tomli": "configuration files",
    "trio": "tasks and sockets",
    "trio-websocket": "WebSockets",
    "truststore": "of httpx2",
    "typing-extensions": "of cattrs and anyio",
    "wsproto": "of trio-websocket, and of the embedded exchange",
}


def entries(text: str) -> dict[str, str]:
    """What a lock says of each package: the lines from its name to the next one."""
    blocks = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]
    return {block.split("==")[0]: block for block in blocks}


def version(entry: str) -> Version:
    return Version(entry.split("==")[1].split()[0])


def open_ends(text: str) -> list[str]:
    """What a lock leaves open: packages without a hash, and anything that is fetched from an address."""
    unhashed = [name for name, entry in entries(text).items() if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry)]
    return unhashed + re.findall(r"^[^#]*(?:://| @ |--index|--find|--trusted|-e ).*$", text, re.MULTILINE)


def test_x13_every_package_is_named_by_its_hash() -> None:
    assert open_ends(TEXT) == []


@pytest.mark.parametrize(
    "line", ["attrs==26.1.0", "attrs @ https://example.org/attrs.whl", "--index-url https://example.org", "-e ./attrs"]
)
def test_what_a_lock_leaves_open_is_found(line: str) -> None:
    assert open_ends(f"{TEXT}{line}\n") != []


def test_x13_no_package_is_new_that_was_not_looked_at() -> None:
    assert sorted(entries(TEXT)) == sorted(REVIEWED)


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_x13_the_lock_has_what_the_project_asks_for(wanted: Requirement) -> None:
    assert wanted.url is None
    assert version(entries(TEXT)[canonicalize_name(wanted.name)]) in wanted.specifier


def test_x13_the_lock_is_whole() -> None:
    """What its packages need here stands in it as well: an installer would look for the rest anywhere."""
    seen = 0
    for name in entries(TEXT):
        try:
            needs = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue  # of another system
        needed = {canonicalize_name(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})}
        assert needed <= set(entries(TEXT)), name
        seen += 1
    assert seen >= len(WANTED)
