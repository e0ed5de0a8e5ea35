"""What an address names, however it is disguised."""

import pytest

from gateway.media.hosts import named
from inference.ir.errors import InvalidField

INSIDE = [
    "127.0.0.1",
    "10.0.0.7",
    "192.168.1.1:8000",
    "169.254.169.254",
    "169.254.169.254.",
    "100.64.0.1",
    "0.0.0.0",
    "0",
    "2852039166",
    "0xa9fea9fe",
    "0XA9.0XFE.0XA9.0XFE",
    "0251.0376.0251.0376",
    "0251.254.169.0xfe",
    "127.1",
    "10.7",
    "256.1.1.1",
    "4294967297",
    "%31%36%39.254.169.254",
    "①⑥⑨.②⑤④.169.254",
    "１２７.0.0.1",
    "169。254。169。254",
    "[::1]",
    "[::]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[fd00:ec2::254]",
    "[fe80::1%25eth0]",
    "localhost",
    "LOCALHOST.",
    "db.localhost",
    "metadata.google.internal",
    "Metadata.Google.Internal.",
    "metadata",
    "redis:6379",
    "printer.local",
    "vault.corp",
    "router.home.arpa",
]


@pytest.mark.parametrize("scheme", ["http://", "https://", "HtTp://", " \thttp://"])
@pytest.mark.parametrize("host", INSIDE)
def test_a_host_inside_is_known_by_its_letters(host: str, scheme: str) -> None:
    assert named(f"{scheme}{host}/latest/meta-data", param="p").inside


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.com/cat.png", "example.com"),
        ("https://EXAMPLE.com.:8443/a?b=http://10.0.0.1/#@127.0.0.1", "example.com"),
        ("https://bücher.example/ä b.png", "xn--bcher-kva.example"),
        ("https://93.184.216.34/", "93.184.216.34"),
        ("https://[2606:4700::1111]/", "2606:4700::1111"),
        ("https://localhost.example.com/", "localhost.example.com"),
        ("https://10.0.0.1.nip.io/", "10.0.0.1.nip.io"),
        ("https://a_b-c.example.com/", "a_b-c.example.com"),
    ],
)
def test_a_host_outside(url: str, host: str) -> None:
    found = named(url, param="p")
    assert (found.host, found.inside, found.web) == (host, False, True)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com@169.254.169.254/",
        "http://169.254.169.254@example.com/",
        "http://example.com\\@169.254.169.254/",
        "http://169.254.\n169.254/",
        "http:///169.254.169.254/",
        "http:/169.254.169.254/",
        "http:169.254.169.254",
        "http://example.com:port/",
        "http://[::1/",
        "http://exa mple.com/",
        "http://a%2f@b/",
        "http://example.com%2f.10.0.0.1/",
        "http://a..b/",
        "http://",
    ],
)
def test_what_may_be_read_in_two_ways_is_refused_unrepeated(url: str) -> None:
    with pytest.raises(InvalidField) as caught:
        named(url, param="messages[0].content[1]")
    assert (caught.value.code, caught.value.param) == ("invalid_media_url", "messages[0].content[1]")
    assert "169" not in caught.value.message


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gs://bucket/a.png", "ms://file-1", "iVBORw0KGgo="])
def test_what_is_no_address_of_the_web(url: str) -> None:
    assert named(url, param="p").web is False
