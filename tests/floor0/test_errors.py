"""The errors: one root, the exit codes of design.md 10, and what each one carries."""

from __future__ import annotations

import pytest

from coldframe import errors
from coldframe.errors import ColdframeError

ERRORS: list[type[ColdframeError]] = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ColdframeError)
]
#: design.md 10: 1 bug, 2 usage, 69 venue unreachable, 75 try later, 77 authentication refused, 78 configuration.
EXIT_CODES = {
    "ColdframeError": 1,
    "ConfigError": 78,
    "PluginError": 78,
    "UsageError": 2,
    "LocalProtocolError": 1,
    "RemoteProtocolError": 1,
    "DecodeError": 1,
    "LinkError": 69,
    "LinkRefused": 69,
    "LinkDropped": 69,
    "LinkSilent": 69,
    "VenueUnavailable": 69,
    "Banned": 75,
    "AuthenticationRefused": 77,
    "InvariantBroken": 1,
}


def test_each_error_ends_the_process_with_its_code() -> None:
    codes = {kind.__name__: kind.exit_code for kind in ERRORS}
    assert codes.items() >= EXIT_CODES.items()
    assert set(codes.values()) == {1, 2, 69, 75, 77, 78}


def test_links_and_protocols_have_families() -> None:
    assert {kind.__name__ for kind in ERRORS if issubclass(kind, errors.LinkError)} == {
        "LinkError",
        "LinkRefused",
        "LinkDropped",
        "LinkSilent",
    }
    assert issubclass(errors.DecodeError, errors.RemoteProtocolError)
    assert not issubclass(errors.LocalProtocolError, errors.RemoteProtocolError)
    assert issubclass(errors.PluginError, errors.ConfigError)


def test_configuration_error_lists_every_finding_on_its_own_line() -> None:
    error = errors.ConfigError("a.toml:1: x: wrong", "a.toml:2: y: missing")
    assert error.findings == ("a.toml:1: x: wrong", "a.toml:2: y: missing")
    assert str(error).splitlines() == list(error.findings)


def test_what_the_others_carry() -> None:
    assert errors.DecodeError("no", b"raw").raw == b"raw"
    assert errors.LinkDropped("gone", 1008).code == 1008
    assert errors.LinkDropped("gone").code is None
    assert errors.Banned("wait", 1_700_000_000_000).until_ms == 1_700_000_000_000
    with pytest.raises(ColdframeError, match="gone"):
        raise errors.LinkDropped("gone")
