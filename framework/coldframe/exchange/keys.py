"""The keys of the venue's accounts, one for HMAC and one for Ed25519 each, as the venue knows them."""

from __future__ import annotations

from functools import cached_property

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


@attrs.frozen
class AccountKeys:
    """The keys of one account. The secrets never show in a printed form of this."""

    account: str
    hmac_api_key: str
    hmac_secret: str = attrs.field(repr=False)
    ed25519_api_key: str
    ed25519_private_pem: bytes = attrs.field(repr=False)
    ed25519_private_key_file: str | None

    @cached_property
    def public_key(self) -> Ed25519PublicKey:
        """What the venue verifies Ed25519 signatures with."""
        key = load_pem_private_key(self.ed25519_private_pem, password=None)
        assert isinstance(key, Ed25519PrivateKey)
        return key.public_key()
