"""Who may read the desk: this machine, bearers of a token, whom a proxy lets in."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.datastructures import Headers

#: Names by which a browser on this machine reaches it.
LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
#: Characters of a token or key, at least: a random one of so many cannot be guessed.
LEAST_SECRET = 20
#: Longest file of a token or key, bytes.
MAX_SECRET = 4_096


@dataclass(frozen=True, slots=True)
class Access:
    """
    What a request has to bring.

    Attributes
    ----------
    token
        As a password, or a bearer's; ``None``: none is asked for.
    header
        Of a proxy, which names the user; ``None``: there is no proxy.
    proxies
        Addresses that the proxy may have.
    """

    token: str | None = None
    header: str | None = None
    proxies: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``token``, ``proxy`` or ``loopback``."""
        if self.token is not None:
            return "token"
        return "loopback" if self.header is None else "proxy"


def access_for(
    host: str, token_file: Path | None, header: str | None, proxies: tuple[str, ...]
) -> Access:
    """
    Decide who may read, from the options of the command.

    Parameters
    ----------
    host
        The address that is listened on.
    token_file
        Holds a token.
    header, proxies
        The name of a proxy's header, and the proxy's addresses.

    Raises
    ------
    ConfigError
        When others could reach the desk without either; or a file or name is no good.
    """
    if token_file is not None and header is not None:
        raise ConfigError("give --token-file or --proxy-header, not both")
    for address in proxies:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ConfigError(
                f"--proxy-from: {address!r} is not an address such as 10.0.0.5"
            ) from None
    if token_file is not None:
        token = read_secret(token_file, "--token-file")
        return Access(token=token, proxies=proxies)
    if header is not None:
        if not header.replace("-", "").isalnum() or not header.isascii():
            raise ConfigError(f"--proxy-header: {header!r} is not the name of a header")
        return Access(header=header.lower(), proxies=proxies)
    if host not in LOOPBACK:
        raise ConfigError(
            f"--host {host}: others could read every night; add --token-file FILE, or "
            "--proxy-header NAME where a proxy says who asks, or stay on 127.0.0.1"
        )
    return Access()


def read_secret(file: Path, option: str) -> str:
    """
    Read a token or a key: the only line of a file.

    Raises
    ------
    ConfigError
        When it cannot be read, or is too short or long to be one.
    """
    try:
        with file.open("rb") as handle:
            found = handle.read(MAX_SECRET + 1).decode("ascii").strip()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{option}: {file}: {reason}; check the path") from None
    except UnicodeDecodeError:
        found = ""
    if not found.isprintable() or not LEAST_SECRET <= len(found) <= MAX_SECRET:
        raise ConfigError(
            f"{option}: {file}: must hold one line of at least {LEAST_SECRET} letters "
            "and digits; openssl rand -hex 32 makes one"
        )
    return found


def is_let_in(access: Access, headers: Headers, client: str | None) -> bool:
    """Whether a request brings what it has to."""
    if access.token is not None:
        return _brings(access.token, headers.get("authorization", ""))
    if access.header is not None:
        return client in access.proxies and bool(headers.get(access.header))
    return True


def scheme_of(access: Access, headers: Headers, client: str | None) -> str:
    """
    How a browser reached the desk: as the proxy says it, and nobody else.

    Of several proxies, the first one named is the browser's.
    """
    told = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return "https" if told == "https" and client in access.proxies else "http"


def is_own_name(headers: Headers) -> bool:
    """
    Whether a request calls this machine by a name of its own.

    A page elsewhere can have its own name resolve to this machine, and would then read
    what the browser reads: without a token the name has to be one of ours.
    """
    name = headers.get("host", "")
    bare = name if name.endswith("]") else name.rpartition(":")[0] or name
    return bare.lower() in LOOPBACK


def _brings(token: str, given: str) -> bool:
    """Whether a header holds the token: of a bearer, or as the password of anybody."""
    kind, _, value = given.partition(" ")
    if kind.lower() == "basic":
        try:
            pair = base64.b64decode(value, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return False
        value = pair.partition(":")[2]
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(value.encode(), token.encode())
