"""Refuses what a page of another origin makes a browser send.

A browser on this machine or in its network sends requests for any page that it shows. It adds headers that the page
cannot change. `Host` has the name in the address: after DNS rebinding it is a name of the page's owner.
`Sec-Fetch-Site`, which is sent to localhost and with TLS only, and `Origin` show which page sent the request:
https://www.w3.org/TR/fetch-metadata
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

LOCALHOST = "localhost"
"""Browsers resolve it to this machine themselves, so its owner is known."""
OWN_PAGES = ("same-origin", "none")
"""Values of Sec-Fetch-Site: a page of this server, or a person (an address that was typed, a bookmark)."""
CACHED_HOSTS = 256
"""Values of the header Host whose check is remembered."""
FOREIGN_PAGE = "a page of another origin sent this request: only links to pages are allowed"
UNKNOWN_PAGE = "the browser does not show which page sent this request: use an address with localhost or 127.0.0.1"


class OriginPolicy:
    """Decides which requests are refused. Clients that are no browsers need only a known name in `Host`."""

    def __init__(self, names: Iterable[str], setting: str, unsafe_paths: Collection[str] = ()) -> None:
        """`names` are known, and so are IP addresses and localhost; `setting` is the variable with further names.

        A GET of the `unsafe_paths` changes something, so no page may even link to them.
        """
        self._names = {LOCALHOST, *map(_normalized, names)}
        self._setting = setting
        self._unsafe_paths = unsafe_paths
        self._is_known = lru_cache(CACHED_HOSTS)(self._check_host)

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """Why a request is refused; empty if it is not. `headers` has lower-case names, or accepts them."""
        host = headers.get("host", "")
        if not self._is_known(host):
            return (
                "the name in the header Host is not known: start with it in HOSTS "
                f"({self._setting} of this service), or use an IP address"
            )
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site in OWN_PAGES:
            return ""
        if site is None and (origin is None or origin.partition("://")[2] == host):
            return UNKNOWN_PAGE if path in self._unsafe_paths and _is_browser(headers) else ""
        is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return "" if is_link and method == "GET" and path not in self._unsafe_paths else FOREIGN_PAGE

    def _check_host(self, host: str) -> bool:
        """Whether the name is known. An address is always: nobody can make it mean another server, as with a name.

        Browsers always send a name.
        """
        name = _normalized(host)
        return not name or name in self._names or _is_address(name)


def _normalized(host: str) -> str:
    """A value of the header Host without the port, in lower case."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_browser(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent it. A page cannot change this header of a request to another origin."""
    return headers.get("user-agent", "").startswith("Mozilla/")
