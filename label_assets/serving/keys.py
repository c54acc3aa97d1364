"""API keys: random words of which only hashes are kept.

Belongs here: making, hashing and comparing them. Does not belong here: where a request carries one (`serving.guard`).
"""

import hashlib
import hmac
import ipaddress
import re
import secrets

from label_assets.errors import SettingsError
from label_assets.settings import API_KEY_NAME, ServeSettings

KEY_BYTES = 32


def new_key(name: str) -> tuple[str, str]:
    """A key, and the entry of the setting `serve.api_keys` that accepts it.

    A key has 256 random bits, so a plain hash is as good as a slow one.

    Raises:
        SettingsError: for a name that the setting does not take.
    """
    if not re.fullmatch(API_KEY_NAME, name, flags=re.ASCII):
        raise SettingsError(
            asked=f"an API key of {name!r}",
            found="a name that the setting serve.api_keys does not take",
            allowed="1 to 64 letters, digits, dots, hyphens and underscores",
            action="choose another name",
        )
    key = secrets.token_urlsafe(KEY_BYTES)
    return key, f"{name}:{hash_of(key)}"


def hash_of(key: str) -> str:
    """SHA-256 of a key, in hexadecimal digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def owner(accepted: tuple[str, ...], key: str) -> str | None:
    """Name of a key's owner, or None. Compares with all of them, each in constant time."""
    found, given = None, hash_of(key)
    for entry in accepted:
        name, _, expected = entry.rpartition(":")
        if hmac.compare_digest(expected, given):
            found = name
    return found


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_exposure(settings: ServeSettings) -> None:
    """Refuse to listen for everybody without keys.

    Raises:
        SettingsError: with what to do.
    """
    if not settings.api_keys and not is_loopback(settings.host):
        raise SettingsError(
            asked=f"the API on {settings.host}:{settings.port}",
            found="an address that others reach, and no API key",
            allowed="127.0.0.1, ::1 or localhost without keys; any address with keys",
            action="make a key with `label-assets api-key NAME` and set LABEL_ASSETS_SERVE__API_KEYS to what it prints",
        )
