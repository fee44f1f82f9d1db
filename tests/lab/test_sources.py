from __future__ import annotations

import pytest

from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.lab.sources import (
    Mirrors,
    Source,
    choose_mirrors,
    parse_deb822,
    parse_one_line,
    read_mirrors,
)

DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb deb-src
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main contrib

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
"""

ONE_LINE = """\
# deb http://off.example/debian bookworm main
deb-src http://src.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://other.example/apt tools-bookworm main
deb [ arch=amd64 ] http://mirror.example/debian bookworm main contrib # ours
deb http://mirror.example/security bookworm-security main
"""


def test_deb822_stanzas_and_folded_fields():
    assert parse_deb822(DEB822) == [
        Source("http://mirror.example/debian", ("bookworm", "bookworm-updates"), ("main",)),
        Source("http://mirror.example/security", ("bookworm-security",), ("main", "contrib")),
    ]


def test_one_line_entries_with_and_without_options():
    assert parse_one_line(ONE_LINE) == [
        Source("http://other.example/apt", ("tools-bookworm",), ("main",)),
        Source("http://mirror.example/debian", ("bookworm",), ("main", "contrib")),
        Source("http://mirror.example/security", ("bookworm-security",), ("main",)),
    ]


@pytest.mark.parametrize("sources", [parse_deb822(DEB822), parse_one_line(ONE_LINE)])
def test_the_debian_mirror_is_told_from_other_archives(sources):
    mirrors = choose_mirrors(sources)
    assert mirrors == Mirrors("http://mirror.example/debian", "http://mirror.example/security")


def test_only_foreign_archives_is_no_mirror():
    assert choose_mirrors([Source("http://x.example", ("nodistro",), ("main",))]) is None
    assert choose_mirrors([Source("http://x.example", ("bookworm-pgdg",), ("main",))]) is None
    assert choose_mirrors([Source("http://x.example", ("bookworm",), ("stable",))]) is None


def test_security_suites_are_left_out_without_a_security_mirror():
    text = Mirrors("http://mirror.example/debian", None).entries(["trixie-security", "trixie"])
    assert text.count("\n") == 1
    assert text.endswith(" http://mirror.example/debian trixie main\n")


def test_files_of_both_formats_are_read(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list").write_text("deb http://second.example/debian sid main\n")
    assert read_mirrors(tmp_path, None).main == "http://mirror.example/debian"


def test_no_mirror_says_how_to_name_one(tmp_path):
    with pytest.raises(LabUnavailable, match="no Debian mirror") as caught:
        read_mirrors(tmp_path, None)
    assert "BPFPROBE_MIRROR" in (caught.value.hint or "")
    assert (
        read_mirrors(tmp_path, "http://named.example/debian").main == "http://named.example/debian"
    )
