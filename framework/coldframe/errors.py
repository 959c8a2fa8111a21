"""Every exception of Coldframe, and nothing else.

Two kinds of wrong are told apart, as in h11: `LocalProtocolError` means that *we* would have broken the venue's rules (a
bug of ours), `RemoteProtocolError` that the peer did. Operating outcomes (a refused intent, a rejected or unknown order, a
gap in a book) are values in `coldframe.model`, never exceptions.

This module must never import another one of the project: every floor raises these.
"""

from __future__ import annotations


class ColdframeError(Exception):
    """The root of all errors raised on purpose. Its text is one sentence a user can act on."""

    #: What the process answers when this error ends it (design.md, section 10).
    exit_code: int = 1


class ConfigError(ColdframeError):
    """The configuration, or a file it names, cannot be used. Carries every finding at once.

    `findings` are complete lines of the form `file:line: path: what is wrong`.
    """

    exit_code = 78

    def __init__(self, *findings: str) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class PluginError(ConfigError):
    """A plugin cannot be loaded: said in one sentence, before anything connects."""


class StrategyFault(ColdframeError):
    """A strategy's own code has raised, or returned something else than intents. The strategy is muted, the run goes on."""


class StrategyTooSlow(StrategyFault):
    """A call of a strategy's code took longer than its `hook_limit_ms`, by the clock of the machine."""


class UsageError(ColdframeError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class LocalProtocolError(ColdframeError):
    """We were about to say something that the venue's protocol forbids: a bug on our side."""


class RemoteProtocolError(ColdframeError):
    """The peer said something that its protocol forbids. `raw` keeps what it said."""

    def __init__(self, message: str, raw: bytes = b"") -> None:
        super().__init__(message)
        self.raw = raw


class DecodeError(RemoteProtocolError):
    """Bytes that are not the message they should be: not JSON, a field missing, a malformed number."""


class LinkError(ColdframeError):
    """A connection could not be opened or has ended. Only supervisors catch it."""

    exit_code = 69


class LinkRefused(LinkError):
    """The connection was never established: no route, no listener, a failed TLS or WebSocket handshake."""


class LinkDropped(LinkError):
    """An established connection ended; `code` is the close code of the WebSocket, if there was one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class LinkSilent(LinkError):
    """An established connection stopped answering."""


class VenueUnavailable(ColdframeError):
    """The venue cannot be reached or served at all."""

    exit_code = 69


class Banned(ColdframeError):
    """The venue asks us to stay away for a while. `until_ms` is the end of the ban in epoch milliseconds."""

    exit_code = 75

    def __init__(self, message: str, until_ms: int) -> None:
        super().__init__(message)
        self.until_ms = until_ms


class AuthenticationRefused(ColdframeError):
    """The venue does not accept the API key or its signature."""

    exit_code = 77


class JournalDamaged(ColdframeError):
    """A journal does not hold what was written to it: the text names the place. Nothing is traded on it."""

    exit_code = 78


class JournalUnwritable(ColdframeError):
    """A journal cannot be opened or written: missing folder, no permission, disk full, another process has it."""

    exit_code = 78


class InvariantBroken(ColdframeError):
    """Something that must always hold does not: a bug, and the run stops."""
