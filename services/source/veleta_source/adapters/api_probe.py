"""Asks an external data API for any answer, without GET /data, which would move its cursor."""

import http.client
import socket
import ssl
from urllib.parse import SplitResult, urlsplit

SECONDS = 5.0
_TLS = ("https", "ssl", "tls")
"""One of these is in the body with which a server refuses HTTP on its port for TLS."""
_WORDS: list[tuple[type[Exception], str]] = [
    (ssl.SSLCertVerificationError, "its certificate is not valid ({error.verify_message})"),
    (ssl.SSLError, "it does not speak TLS: use http://?"),
    (socket.gaierror, "the host is unknown: is the name right?"),
    (TimeoutError, "no answer within {seconds:.0f} s: are host and port right?"),
    (ConnectionRefusedError, "connection refused: is the API running?"),
    (ConnectionError, "it does not speak HTTP: are port and scheme (http, https) right?"),
    (http.client.HTTPException, "it does not speak HTTP: are port and scheme (http, https) right?"),
    (OSError, "{error.strerror}: are host and port right?"),
    (ValueError, "{error}: use an address as http://host:port"),
]
"""By kind of error, the first that matches: what to tell the user."""


def api_fault(url: str) -> str | None:
    """Why no HTTP server answers at this address, in one line. None if one does, with any status."""
    try:
        fault = _ask(urlsplit(url))
    except (OSError, ValueError, http.client.HTTPException) as error:
        fault = next(words for kind, words in _WORDS if isinstance(error, kind)).format(error=error, seconds=SECONDS)
    return f"API_URL={url}: {fault}" if fault else None


def _ask(address: SplitResult) -> str | None:
    host, port = address.hostname or "", address.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=SECONDS)
        if address.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=SECONDS)
    )
    try:
        connection.request("GET", address.path or "/")
        response = connection.getresponse()
        body = response.read(2_000).decode(errors="replace").lower()
    finally:
        connection.close()
    if address.scheme == "http" and response.status == http.client.BAD_REQUEST:
        return "it speaks TLS: use https://" if any(word in body for word in _TLS) else None
    return None
