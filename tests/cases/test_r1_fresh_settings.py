"""A system that is set up from nothing has this machine's mirror, certificates and pip options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fresh.settings import ACQUIRE, PASSED_ON, existing_paths

if TYPE_CHECKING:
    from pathlib import Path

DUMP = """\
APT::Architecture "amd64";
Acquire::http::Proxy "http://proxy:3128";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
DPkg::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb || true";
"""


def test_how_apt_fetches_and_nothing_else() -> None:
    assert [line.split()[0] for line in ACQUIRE.findall(DUMP)] == [
        "Acquire::http::Proxy",
        "Acquire::Check-Valid-Until",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PIP_INDEX_URL", True),
        ("https_proxy", True),
        ("HTTPS_PROXY", True),
        ("SSL_CERT_FILE", True),
        ("REQUESTS_CA_BUNDLE", True),
        ("BPFPROBE_MIRROR", True),
        ("HOME", False),
        ("PYTHONPATH", False),
        ("BPFPROBE_CACHE", False),
        ("MY_PIP_CERT", False),
        ("AWS_SECRET", False),
    ],
)
def test_variables_that_are_passed_on(name: str, expected: bool) -> None:
    assert bool(PASSED_ON.fullmatch(name)) is expected


def test_paths_that_options_name(tmp_path: Path) -> None:
    wheels, more, cert = tmp_path / "wheels", tmp_path / "more", tmp_path / "cert.pem"
    for folder in (wheels, more):
        folder.mkdir()
    cert.touch()
    options = [
        f"{wheels} file://{more} https://index.example{wheels} {tmp_path}/absent",
        f"global.cert='{cert}'",
        f"global.find-links='{wheels}'",
        "60",
    ]
    assert list(existing_paths(options)) == [wheels, more, cert]
