from __future__ import annotations

from pathlib import Path

from bpfprobe.lab.environment import Environment, EnvironmentImage, environment_key, outermost
from bpfprobe.lab.initramfs import guest_path, init_script
from bpfprobe.lab.kernel_image import dependencies
from bpfprobe.lab.kernels import load_matrix
from bpfprobe.lab.lab import guest_environ, mounts, working_directory
from bpfprobe.lab.root_image import suite_of_host


def test_environments_inside_each_other_travel_once(tmp_path):
    for name in ("env/lib", "other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    (tmp_path / "empty").mkdir()
    inner, outer, other = tmp_path / "env/lib", tmp_path / "env", tmp_path / "other"
    found = outermost([inner, outer, other, tmp_path / "absent", tmp_path / "empty", Path("/usr")])
    assert found == [outer, other]


def test_an_environment_is_another_when_a_file_changed_but_not_for_bytecode(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "a.py").write_text("1")
    before = environment_key(tmp_path)
    (tmp_path / "__pycache__" / "a.pyc").touch()
    assert environment_key(tmp_path) == before
    (tmp_path / "a.py").write_text("22")
    assert environment_key(tmp_path) != before


def test_paths_in_the_init_script_are_quoted():
    script = init_script("/odd path/bin/python", [("/dev/vdd", "/odd path; reboot")])
    assert "mkdir -p .'/odd path; reboot'" in script
    assert "exec switch_root /root '/odd path/bin/python'" in script


def test_programs_of_the_environment_come_first():
    assert guest_path("/v/bin/python").startswith("/v/bin:")
    assert guest_path("/usr/bin/python3").count("/usr/bin") == 1


def test_an_environment_in_the_checkout_is_mounted_over_it():
    images = [
        EnvironmentImage(Path("/elsewhere"), Path("/i1")),
        EnvironmentImage(Path("/co/.venv"), Path("/i2")),
    ]
    found = [(m.device, m.path, m.read_only) for m in mounts(Path("/co"), images)]
    assert found == [("/dev/vdb", "/co", False), ("/dev/vde", "/co/.venv", True)]
    assert mounts(None, images) == []


def test_where_a_command_starts():
    assert working_directory(Path("/co/sub"), Path("/co")) == "/co/sub"
    assert working_directory(Path("/tmp"), Path("/co")) == "/co"
    assert working_directory(Path("/tmp"), None) == "/root"


def test_only_some_variables_travel():
    environ = {"TERM": "xterm", "SECRET": "x", "BPFPROBE_X": "1", "BPFPROBE_CACHE": "/c"}
    found = guest_environ(environ, Environment("/v/bin/python", ()), "6.1")
    assert found["TERM"] == "xterm"
    assert found["BPFPROBE_X"] == "1"
    assert found["BPFPROBE_GUEST_KERNEL"] == "6.1"
    assert "SECRET" not in found
    assert "BPFPROBE_CACHE" not in found


def test_the_user_space_is_the_hosts_own_where_it_is_debian():
    userland = load_matrix().userland
    assert suite_of_host(userland, 'NAME="x"\nVERSION_CODENAME=trixie\n') == "trixie"
    assert suite_of_host(userland, "VERSION_CODENAME=noble\n") == "bookworm"
    assert suite_of_host(userland, "") == "bookworm"


def test_what_a_module_needs():
    module = b"\x7fELF\0license=GPL\0depends=virtio_ring,virtio\0name=virtio_blk\0"
    assert dependencies(module) == ["virtio_ring", "virtio"]
    assert dependencies(b"\0depends=\0") == []
    assert dependencies(b"\0name=x\0") == []
