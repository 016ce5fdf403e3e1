"""Which requests of browsers are refused."""

import pytest

from veleta.service.origins import FOREIGN_PAGE, UNKNOWN_PAGE, OriginPolicy

BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}
LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
HOST = {"host": "127.0.0.1:8090"}
POLICY = OriginPolicy(["source", "", "Data.Example.com"], "SOURCE_HOSTS", ["/data"])


@pytest.mark.failure("F375")
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8090", "localhost.:8090", "127.0.0.1", "127.0.0.1:8090", "192.168.1.5:8090", "[::1]:8090",
     "source:8090", "source", "data.example.com", "DATA.example.com.:443"],
)  # fmt: skip
def test_known_names_and_every_address_are_served(host: str) -> None:
    """On any port: a published port may have another number. Nobody can make an address mean another server."""
    assert POLICY.refusal("GET", "/", {"host": host}) == ""


def test_a_client_without_the_header_is_served() -> None:
    """It is no browser."""
    assert POLICY.refusal("GET", "/data", {}) == ""


@pytest.mark.failure("F375")
@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:8090", "localhost.evil.test", "127.0.0.1.evil.test", "example.com", "notsource",
     "source.evil", "\udcff", "a" * 9000],
)  # fmt: skip
def test_a_foreign_name_is_refused(host: str) -> None:
    """Although the browser takes the page for one of this server. The reason names the variable."""
    reason = POLICY.refusal("GET", "/", {"host": host, "sec-fetch-site": "same-origin"})
    assert reason == (
        "the name in the header Host is not known: start with it in HOSTS (SOURCE_HOSTS of this service), "
        "or use an IP address"
    )


@pytest.mark.failure("F376")
@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_a_page_of_another_origin_may_only_link(site: str) -> None:
    """Another port of this machine is another origin. A link must not take a batch."""
    sent = {**HOST, **BROWSER, "sec-fetch-site": site}
    assert POLICY.refusal("GET", "/", {**sent, **LINK}) == ""
    assert POLICY.refusal("GET", "/data", {**sent, **LINK}) == FOREIGN_PAGE
    assert POLICY.refusal("POST", "/", {**sent, **LINK}) == FOREIGN_PAGE
    for other in ({}, {"sec-fetch-mode": "no-cors"}, LINK | {"sec-fetch-dest": "iframe"}):
        assert POLICY.refusal("GET", "/", {**sent, **other}) == FOREIGN_PAGE


@pytest.mark.failure("F376")
@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_pages_and_people_may_do_everything(site: str) -> None:
    """A person types an address, or opens a bookmark. Behind a proxy with TLS the origin is not the header Host."""
    sent = {**HOST, **BROWSER, "sec-fetch-site": site, "origin": "https://data.example.com"}
    assert [POLICY.refusal(method, path, sent) for method in ("GET", "POST") for path in ("/", "/data")] == [""] * 4


@pytest.mark.failure("F376")
@pytest.mark.parametrize("origin", ["http://evil.test", "http://127.0.0.1:8501", "http://localhost:8090", "null", ""])
def test_without_sec_fetch_site_the_origin_decides(origin: str) -> None:
    """Browsers send the former only to trustworthy addresses: those of this machine, or with TLS."""
    assert POLICY.refusal("POST", "/", {**HOST, "origin": origin}) == FOREIGN_PAGE
    assert POLICY.refusal("POST", "/", {**HOST, "origin": "http://127.0.0.1:8090"}) == ""


@pytest.mark.failure("F376")
def test_a_browser_must_show_which_page_takes_a_batch() -> None:
    """To the address of another machine it sends neither header with a GET. Other clients need none."""
    sent = {"host": "192.168.1.5:8090"}
    assert POLICY.refusal("GET", "/data", {**sent, **BROWSER}) == UNKNOWN_PAGE
    assert POLICY.refusal("GET", "/", {**sent, **BROWSER}) == ""
    assert POLICY.refusal("GET", "/data", {**sent, "user-agent": "curl/8"}) == ""


def test_any_number_of_names_takes_little_memory() -> None:
    """The checks of the last ones are remembered."""
    policy = OriginPolicy([], "SOURCE_HOSTS")
    for number in range(1000):
        assert policy.refusal("GET", "/", {"host": f"{number}.evil.test"})
    assert policy._is_known.cache_info().currsize <= 256
