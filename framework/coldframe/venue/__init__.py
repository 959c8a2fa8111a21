"""The embedded exchange: it speaks the venue's own protocol over a loopback socket and knows nothing of the bot."""

from coldframe.venue.keys import AccountKeys
from coldframe.venue.mirror import Mirror
from coldframe.venue.server import Address, EmbeddedVenue

__all__ = ["AccountKeys", "Address", "EmbeddedVenue", "Mirror"]
