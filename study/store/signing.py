"""Ed25519 signatures: someone with the export but not the key can change the export, but cannot sign it again."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.errors import StudyError


@dataclass(frozen=True)
class Key:
    """A private key in a file of its own, made when it is first used."""

    file: Path

    def sign(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """The statement, the public key and the signature, as `signed_by` reads them.

        Raises:
            StudyError: the file is there and holds no such key.
        """
        return {
            "said": dict(statement),
            "key": self.public,
            "signature": _text(self._private().sign(_bytes(statement))),
        }

    @property
    def public(self) -> str:
        """The public key in base64, which signatures are checked against."""
        return _text(self._private().public_key().public_bytes_raw())

    def _private(self):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(_text(Ed25519PrivateKey.generate().private_bytes_raw()))
        except FileExistsError:
            pass
        try:
            return Ed25519PrivateKey.from_private_bytes(base64.b64decode(self.file.read_text("ascii"), validate=True))
        except (OSError, ValueError):
            raise StudyError(f"{self.file} holds no key: restore it from a backup, or move it away.") from None


def signed_by(written: Mapping[str, Any]) -> str:
    """The public key of whoever signed this, in base64; "" if the signature does not match the statement."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key, signature = (base64.b64decode(written[name], validate=True) for name in ("key", "signature"))
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _bytes(written["said"]))
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return ""
    return written["key"]


def _bytes(statement: Mapping[str, Any]) -> bytes:
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
