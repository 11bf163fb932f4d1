"""The broker's URL: whether it can be used, and how it is shown. No part of it that may be secret is ever quoted."""

import re
from urllib.parse import parse_qsl, urlsplit

_FORM = "write redis://:PASSWORD@HOST:PORT/0"
_SCHEMES = ("redis", "rediss", "redis+socket")
_SOCKET = "redis+socket"
#: What a URL may say behind its question mark: kombu takes others for arguments of its own, and fails.
_OF_A_SERVER = frozenset({"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})
_OF_A_SOCKET = frozenset({"virtual_host"})
_CERTIFICATES = frozenset({"cert_none", "cert_optional", "cert_required", "none", "optional", "required"})
_HIGHEST_PORT = 65_535
_NUMBER = re.compile(r"[0-9]{1,5}")


def why_unusable(url: str) -> str | None:
    """Say what is wrong with the URL and what to do; None where kombu takes it."""
    scheme, colon, rest = url.partition("://")
    if not colon or scheme not in _SCHEMES:
        what = "unix:// is called redis+socket:// here" if scheme == "unix" else f"begins with none of {_schemes()}"
        return f"{what}; {_FORM}, or redis+socket:///PATH"
    if any(character.isspace() or not character.isprintable() for character in url):
        return f"has a blank or a control character in it, which is written as %20; {_FORM}"
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and "@" not in authority:
        # A slash, # or ? ends the part of a URL in which the password stands.
        return f"its password holds / # or ?, which are written as %2F %23 %3F; {_FORM}"
    if "#" in rest:
        return f"has a # in it, which is written as %23; {_FORM}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"its host cannot be read; {_FORM}"
    return _wrong_socket(rest) if scheme == _SOCKET else _wrong_server(authority, parts.path, parts.query)


def shown_broker_url(url: str) -> str:
    """Return the URL as it may be shown: where the server is, and nothing of who goes in with what."""
    if why_unusable(url) is not None:
        return "(a URL that cannot be used)"
    scheme, _, rest = url.partition("://")
    before, at, place = rest.partition("?")[0].rpartition("@")
    return f"{scheme}://{'***@' if before and at else ''}{place}"


def secrets(url: str) -> list[str]:
    """Return what of the URL is never to stand in a log, the longest first."""
    rest = url.partition("://")[2]
    user = rest.partition("?")[0].rpartition("@")[0]
    name, _, password = user.partition(":")
    # A name without a password is at times a password without its colon.
    return sorted({part for part in (password or name,) if part}, key=len, reverse=True)


def _wrong_server(authority: str, path: str, query: str) -> str | None:
    place = authority.rpartition("@")[2]
    host, _, port = place.rpartition(":") if ":" in place.rpartition("]")[2] else (place, "", "6379")
    if place and not host:
        return f"names a port, but no host; {_FORM}"
    if not _NUMBER.fullmatch(port) or not 0 < int(port) <= _HIGHEST_PORT:
        return f"its port is not a number from 1 to {_HIGHEST_PORT:,}; {_FORM}"
    if path not in ("", "/") and not _NUMBER.fullmatch(path[1:]):
        return f"what stands behind the host is not the number of a database, such as /0; {_FORM}"
    return _wrong_query(query, _OF_A_SERVER)


def _wrong_socket(rest: str) -> str | None:
    place, _, query = rest.partition("?")
    if not place.rpartition("@")[2].startswith("/"):
        return "names no path of a socket; write redis+socket:///PATH"
    return _wrong_query(query, _OF_A_SOCKET)


def _wrong_query(query: str, known: frozenset[str]) -> str | None:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            return f"what stands behind its question mark is none of {', '.join(sorted(known))}"
        if name == "ssl_cert_reqs" and value.lower() not in _CERTIFICATES:
            return "ssl_cert_reqs is none, optional or required"
        if name == "virtual_host" and not _NUMBER.fullmatch(value):
            return "virtual_host is the number of a database"
    return None


def _schemes() -> str:
    return ", ".join(f"{scheme}://" for scheme in _SCHEMES)
