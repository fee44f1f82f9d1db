from __future__ import annotations

import pytest

from bpfprobe.lab.kernels import choose, load_matrix, releases_in, series_of

NAMES = [
    "linux-image-6.1.0-9-cloud-amd64",
    "linux-image-6.1.0-56-cloud-amd64",
    "linux-image-6.1-cloud-amd64",
    "linux-image-6.1.0-56-amd64",
    "linux-image-6.1.0-56-cloud-amd64-dbg",
    "linux-image-6.1.0-0.deb11.52-cloud-amd64",
    "linux-image-6.12.90+deb13-cloud-amd64",
    "linux-image-6.12.90+deb13.1-cloud-amd64",
    "linux-image-6.12.117+deb13-cloud-amd64",
    "linux-headers-6.12.117+deb13-cloud-amd64",
]


@pytest.fixture(scope="module")
def matrix():
    return load_matrix()


def test_releases_are_images_of_cloud_kernels_oldest_first():
    assert releases_in(NAMES) == [
        "6.1.0-0.deb11.52-cloud-amd64",
        "6.1.0-9-cloud-amd64",
        "6.1.0-56-cloud-amd64",
        "6.12.90+deb13-cloud-amd64",
        "6.12.90+deb13.1-cloud-amd64",
        "6.12.117+deb13-cloud-amd64",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("6.1", "6.1.0-56-cloud-amd64"),
        ("6.12", "6.12.117+deb13-cloud-amd64"),
        ("5.10", None),  # never another one in its place
        ("newest", "6.12.117+deb13-cloud-amd64"),
    ],
)
def test_newest_of_the_series_and_no_other(matrix, name, expected):
    assert choose(matrix.find(name), releases_in(NAMES)) == expected


def test_newest_is_the_newest_whatever_the_series(matrix):
    offered = ["7.2.13+deb14-cloud-amd64", "7.3.1+deb14-cloud-amd64", "7.1.1+deb13-cloud-amd64"]
    assert choose(matrix.find("newest"), offered) == "7.3.1+deb14-cloud-amd64"


def test_nothing_offered_nothing_chosen(matrix):
    assert choose(matrix.find("6.1"), []) is None
    assert choose(matrix.find("newest"), []) is None


def test_series_of_a_release():
    assert series_of("6.12.117+deb13-cloud-amd64") == "6.12"


def test_matrix_is_ordered_and_tests_the_default_and_the_newest_always(matrix):
    *series, newest = matrix.names
    numbers = [tuple(map(int, name.split("."))) for name in series]
    assert numbers == sorted(numbers)
    assert newest == "newest"
    assert matrix.tested(everything=False) == (matrix.default, newest)
    assert matrix.tested(everything=True) == matrix.names


def test_default_kernel_and_newest_have_names(matrix):
    assert matrix.find(None).name == "6.1"
    assert matrix.find("newest") == matrix.newest
    assert matrix.find("4.19") is None
