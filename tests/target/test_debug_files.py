"""Symbols of stripped files out of the files that hold them, made by the tools that make them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfprobe.errors import SpecError, TargetError
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import UserPoint
from bpfprobe.resolve.sites import user_site
from bpfprobe.target.debug_files import DebugFiles
from bpfprobe.target.debug_link import checksum, read_debug_link
from bpfprobe.target.elf import ElfFile, InMemory
from bpfprobe.target.live import LiveTarget

needs_tools = pytest.mark.skipif(
    None in (shutil.which("gcc"), shutil.which("objcopy")), reason="needs gcc and binutils"
)
SOURCE = """
static __attribute__((noinline)) int hidden(int a) { return a * 3; }
__attribute__((visibility("default"))) int shown(int a) { return hidden(a) + 1; }
int main(int c, char **v) { return shown(c); }
"""


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def build(folder: Path, *options: str, text: str = SOURCE) -> Path:
    source, program = folder / "p.c", folder / "p"
    source.write_text(text)
    run("gcc", "-O1", *options, "-o", program, source)
    return program


def split(program: Path, debug: Path, *, link: bool) -> None:
    """Strip a program, and leave its symbols in another file."""
    debug.parent.mkdir(parents=True, exist_ok=True)
    run("objcopy", "--only-keep-debug", program, debug)
    run("strip", program)
    if link:
        run("objcopy", f"--add-gnu-debuglink={debug}", program)


def place_of(program: Path, symbol: str, target: LiveTarget | None = None) -> int:
    span = SourceText(f"{program}:{symbol}").whole()
    return user_site(UserPoint(str(program), symbol), span, target or LiveTarget())[0].offset


def build_id_path(root: Path, program: Path) -> Path:
    data = InMemory(program.read_bytes())
    name = read_debug_link(ElfFile(data, str(program)), data).build_id.hex()
    assert len(name) == 40
    return root / f"usr/lib/debug/.build-id/{name[:2]}/{name[2:]}.debug"


@needs_tools
@pytest.mark.parametrize("layout", ["-pie", "-no-pie", "-static"])
@pytest.mark.parametrize("where", ["beside", ".debug", "global"])
def test_by_name_and_checksum(tmp_path: Path, where: str, layout: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = build(folder, layout, "-Wl,--build-id=none")
    offset = place_of(program, "hidden")
    root = tmp_path if where == "global" else Path("/")
    debug = {
        "beside": folder / "p.debug",
        ".debug": folder / ".debug/p.debug",
        "global": Path(f"{tmp_path}/usr/lib/debug{folder}/p.debug"),
    }[where]
    split(program, debug, link=True)
    target = LiveTarget()
    if where != "global":
        assert place_of(program, "hidden", target) == offset
        assert target.debug_symbols(target.binary(str(program))).path == str(debug)
        assert "hidden" in target.matching_binary_symbols(target.binary(str(program)), "hid*")
        return
    data = InMemory(program.read_bytes())
    about, found = DebugFiles(root).find(ElfFile(data, str(program)))
    assert about.path == str(debug)
    assert found is not None
    assert [symbol.offset for symbol in found.functions.named("hidden")] == [offset]


@needs_tools
@pytest.mark.parametrize("layout", ["-pie", "-no-pie"])
def test_by_build_id(tmp_path: Path, layout: str) -> None:
    program = build(tmp_path, layout, "-Wl,--build-id")
    offset = place_of(program, "hidden")
    debug = build_id_path(tmp_path, program)
    split(program, debug, link=False)
    about, found = DebugFiles(tmp_path).find(ElfFile(InMemory(program.read_bytes()), str(program)))
    assert (about.path, about.problems, about.is_stripped) == (str(debug), (), True)
    assert found is not None
    assert [symbol.offset for symbol in found.functions.named("hidden")] == [offset]


@needs_tools
@pytest.mark.parametrize("build_id", ["-Wl,--build-id", "-Wl,--build-id=none"])
def test_of_another_build_is_not_taken(tmp_path: Path, build_id: str) -> None:
    program = build(tmp_path, build_id)
    debug = tmp_path / "p.debug"
    split(program, debug, link=True)
    build(tmp_path, build_id, text=f"{SOURCE}int more(void) {{ return 1; }}")
    wrong = tmp_path / "wrong"
    run("objcopy", "--only-keep-debug", program, wrong)
    build(tmp_path, build_id)
    split(program, debug, link=True)
    shutil.copy(wrong, debug)
    with pytest.raises(SpecError) as caught:
        place_of(program, "hidden")
    assert caught.value.code == "BAD_PROBE_ADDR"
    assert "is stripped" in caught.value.message
    assert f"{debug} is of another build" in str(caught.value.hint)


@needs_tools
def test_stripped_with_nothing_beside_says_what_would_help(tmp_path: Path) -> None:
    program = build(tmp_path, "-Wl,--build-id")
    wanted = build_id_path(Path("/"), program)
    run("strip", program)
    with pytest.raises(SpecError) as caught:
        place_of(program, "hidden")
    assert "is stripped" in caught.value.message
    assert str(wanted) in str(caught.value.hint)


@needs_tools
def test_not_stripped_is_not_called_so(tmp_path: Path) -> None:
    program = build(tmp_path)
    with pytest.raises(SpecError) as caught:
        place_of(program, "hiden")
    assert "is stripped" not in str(caught.value)
    assert "did you mean hidden" in str(caught.value.hint)


@needs_tools
def test_a_damaged_debug_file_is_named(tmp_path: Path) -> None:
    program = build(tmp_path, "-Wl,--build-id")
    debug = tmp_path / "p.debug"
    split(program, debug, link=True)
    debug.write_bytes(debug.read_bytes()[:200])
    with pytest.raises(SpecError) as caught:
        place_of(program, "hidden")
    assert f"{debug} is a damaged or incomplete ELF file" in str(caught.value.hint)


@needs_tools
def test_the_package_that_would_help_is_named() -> None:
    target = LiveTarget()
    binary = target.binary("bash")
    assert target.binary_package(binary) in ("bash", "")
    if not target.debug_symbols(binary).path:
        with pytest.raises(SpecError) as caught:
            place_of(Path(binary.path), "no_such_function_at_all")
        assert "bash-dbgsym" in str(caught.value.hint)


@needs_tools
@settings(max_examples=60, deadline=5000)
@given(data=st.data())
def test_damage_costs_an_error_and_no_more(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = Path(tmp_path_factory.getbasetemp()) / "damaged"
    program = folder / "p"
    if not program.exists():
        folder.mkdir()
        build(folder, "-Wl,--build-id")
        split(program, folder / "p.debug", link=True)
    content = bytearray(program.read_bytes())
    elf = ElfFile(InMemory(bytes(content)), str(program))
    ranges = [
        range(s.offset, s.offset + s.size)
        for s in elf.sections
        if s.name in (".gnu_debuglink", ".note.gnu.build-id", ".note.ABI-tag")
    ]
    tables = int.from_bytes(content[40:48], "little")
    places = st.sampled_from([at for some in [*ranges, range(tables, len(content))] for at in some])
    for at, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        content[at] = value
    image = InMemory(bytes(content))
    code = ""
    try:
        link = read_debug_link(ElfFile(image, str(program)), image)
        assert all("/" not in Path(path).name for path in link.paths("/usr/bin"))
        assert len(link.build_id) <= 65536
        assert len(link.name) <= 65536
    except TargetError as error:
        code = error.code
    assert code in ("", "TRUNCATED_ELF")
    assert checksum(InMemory(b"123456789")) == 0xCBF43926  # the check value of CRC-32
