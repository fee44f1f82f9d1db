from __future__ import annotations

import pytest

from bpfprobe.parse.definition_lines import definition_lines


@pytest.mark.parametrize(
    ("line", "description"),
    [
        ("p vfs_read", "p vfs_read"),
        ("  p vfs_read\t", "p vfs_read"),
        ("p vfs_read # all reads", "p vfs_read"),
        ("p vfs_read\t#all reads", "p vfs_read"),
        ("# p vfs_read", None),
        ("   ", None),
        ("", None),
        ('p vfs_read if comm == "a #b"', 'p vfs_read if comm == "a #b"'),
        ('p vfs_read if comm == "a\\" #b" # c', 'p vfs_read if comm == "a\\" #b"'),
        ("p vfs_read if comm == 'a #b' # c", "p vfs_read if comm == 'a #b'"),
        ("uprobe:/tmp/a#b:main", "uprobe:/tmp/a#b:main"),
        ('p vfs_read if comm == "open #', 'p vfs_read if comm == "open #'),
    ],
)
def test_a_line(line: str, description: str | None) -> None:
    found = [source.text for source in definition_lines(line, "file")]
    assert found == ([] if description is None else [description])


def test_lines_are_counted_from_one_and_comments_count() -> None:
    found = list(definition_lines("# first\n\np vfs_read\r\np vfs_write", "probes.txt"))
    assert [(source.text, source.label) for source in found] == [
        ("p vfs_read", "probes.txt:3"),
        ("p vfs_write", "probes.txt:4"),
    ]
