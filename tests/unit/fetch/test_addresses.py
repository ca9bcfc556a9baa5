import socket

import pytest

from sheetlens.fetch.errors import RefusedError
from sheetlens.fetch.http.addresses import check_name, check_url, guard, place, text
from sheetlens.fetch.listing import Request
from tests.services.fetching import bring
from tests.services.plain import picture


@pytest.mark.parametrize("name", ["a.jpg", "moss/a b.jpg", "Lycopódium/1 (2).jpg", "a/b/c/d"])
def test_a_harmless_name_is_a_path_below_the_folder(tmp_path, name):
    assert place(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../a.jpg", "a/../../b.jpg", "/etc/passwd", "//host/a", "a//b", "a/./b", "a/", "..\\a.jpg",
        "C:\\a.jpg", "a\x00b", "a\nb", "\x1b[2Ja", "~/a", ".ssh/a", "a/.hidden", "x" * 201, "a/" * 500 + "a",
        "\udce9.jpg", "a\u202egpj.exe",
    ],
)  # fmt: skip
def test_a_name_that_leads_astray_is_refused(tmp_path, name):
    with pytest.raises(RefusedError):
        place(tmp_path, name)


def test_the_root_is_no_name():
    with pytest.raises(RefusedError, match="lead out"):
        check_name("/")


def test_a_link_does_not_lead_out(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/moss").symlink_to(tmp_path)
    with pytest.raises(RefusedError, match="through a link"):
        place(tmp_path / "inside", "moss/a.jpg")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.org/b", "data:image/png;base64,xx", "a.jpg", "", "http://",
                                 "javascript:alert(1)", "http://[bad", "//a.org/b"])  # fmt: skip
def test_only_web_addresses_are_asked(url):
    with pytest.raises(RefusedError):
        check_url(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "240.0.0.1", "198.18.0.1", "fec0::1", "feff::1%eth0", "::127.0.0.1", "::10.1.2.3",
        "64:ff9b::a00:1", "64:ff9b:1::808:808", "3fff::1", "5f00::1", "100::1", "192.88.99.1", "2001:db8::1", "2001::1",
        # IPv4 within IPv6 by translation (RFC 2765) and by ISATAP (RFC 5214), and what nobody was given.
        "::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8", "::5efe:7f00:1", "2a00:1450:4001::5efe:7f00:1",
        "2a00:1450:4001::200:5efe:a00:1", "100:0:0:1::1", "4000::1", "a000::1", "e000::1", "1fff::1", "::1:0:0:1",
        # A tunnel within a tunnel, and what lies between a home and its provider.
        "2002:808:808::5efe:7f00:1", "2002:808:808::200:5efe:a00:1", "192.0.0.1", "192.0.0.8",
    ],
)  # fmt: skip
def test_no_socket_is_opened_to_an_address_that_is_not_public(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(OSError, match="not a public address"):
        guard([])((family, socket.SOCK_STREAM, 0, "", (address, 80)))


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", []),
        ("2606:4700::1", []),
        ("10.1.2.3", ["10.0.0.0/8"]),
        ("::1", ["::1"]),
        ("64:ff9b::10.1.2.3", ["64:ff9b::/96"]),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"]),
    ],
)
def test_public_and_allowed_addresses_get_one(address, allowed):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    guard(allowed)((family, socket.SOCK_STREAM, 0, "", (address, 80))).close()


def test_text_keeps_html_and_loses_what_no_file_can_hold():
    assert text("<script>é</script>") == "<script>é</script>"
    assert text("caf\udce9") == "caf\\udce9"


def test_hostile_rows_are_refused_with_a_reason_and_write_nothing(services, tmp_path):
    good, there = services.url("/images/a.jpg"), services.url("/images/there.jpg")
    private = services.url("/images/b.jpg", host=2)
    hostile = {
        "../outside.jpg": (good, "would lead out"),
        "/tmp/absolute.jpg": (good, "would lead out"),
        "caf\udce9.jpg": (good, "not UTF-8"),
        "file.jpg": ("file:///etc/passwd", "only http and https are fetched, not 'file'"),
        "private.jpg": (private, "127.0.0.2 is not a public address: allow its network"),
        "decimal.jpg": ("http://2130706434/", "not a web address"),
        "hop.jpg": (services.url(f"/redirect?to={private}"), "127.0.0.2 is not a public address"),
        "metadata.jpg": (services.url("/redirect?to=http://169.254.169.254/latest"), "169.254.169.254 is not a public"),
        "hop to file.jpg": (services.url("/redirect?to=file:///etc/passwd"), "redirected, and only http and https"),
        "round.jpg": (services.url("/round"), "redirected more than 10 times"),
        "huge.jpg": (services.url("/hostile/huge"), "announces 10,737,418,240 bytes, more than the 1,000,000"),
        "endless.jpg": (services.url("/hostile/endless"), "larger than the limit of 1,000,000 bytes"),
        "bomb.png": (services.url("/hostile/bomb"), "megapixels"),
        "gzip.jpg": (services.url("/hostile/gzip"), "larger than the limit of 1,000,000 bytes"),
        "there.jpg/below.jpg": (good, "the name is that of a folder and of a file at once"),
        "none.jpg": ("", "not ''"),
    }
    requests = [Request("there.jpg", (there,))]
    bring(services.settings(allow=["127.0.0.1/32"]), tmp_path, requests)
    requests += [Request(name, (url,), fields={"locality": "<img src=x>"}) for name, (url, _) in hostile.items()]
    before = set(tmp_path.parent.rglob("*"))
    rows = bring(services.settings(allow=["127.0.0.1/32"], largest=1_000_000, attempts=2), tmp_path, requests)
    assert rows.pop("there.jpg")["status"] == "ok"
    assert len(rows) == len(hostile)
    for name, (_, reason) in hostile.items():
        row = rows[text(name)]
        assert (row["status"], row["locality"]) == ("refused", "<img src=x>")
        assert reason in row["reason"], name
    assert (tmp_path / "originals/there.jpg").read_bytes() == picture("there.jpg")
    assert before - set(tmp_path.parent.rglob("*")) == set()
    added = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.parent.rglob("*")) - before}
    assert added <= {"fetch"}
    assert list(services.counters()["hosts"]) == ["127.0.0.1"]


def test_a_name_that_resolves_to_another_address_the_second_time_gets_nowhere(services, tmp_path, monkeypatch):
    real, asked = socket.getaddrinfo, []

    def rebound(host, port, *arguments, **options):
        if host != "rebind.example":
            return real(host, port, *arguments, **options)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", services.port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    request = Request("a.jpg", (f"http://rebind.example:{services.port}/images/a.jpg",))
    row = bring(services.settings(allow=[]), tmp_path, [request])["a.jpg"]
    assert asked and "127.0.0.1 is not a public address" in row["reason"]
    assert services.counters()["hosts"] == {}


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "::8.8.8.8", "2a00:1450:4001::5eff:7f00:1",
        "2a00:1450:4001:5efe::1", "2002:808:808::1",
    ],
)  # fmt: skip
def test_public_addresses_are_asked_in_any_form(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    guard([])((family, socket.SOCK_STREAM, 0, "", (address, 80))).close()


@pytest.mark.parametrize("name", ["SHA256SUMS", "sha256sums", "SHA256SUMS.part", "SHA256SUMS/k.jpg"])
def test_the_name_of_the_checksums_is_taken(name):
    with pytest.raises(RefusedError) as refused:
        check_name(name)
    assert "the list of checksums" in refused.value.reason
    check_name(f"fern/{name}")
