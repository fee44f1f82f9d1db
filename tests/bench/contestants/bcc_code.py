"""What bcc makes of a tool of its own, as installed: TOOL STRUCT.MEMBER...

The tool is told that there is no fexit, so that it takes kprobes. Prints the programs, the maps by
the descriptor that the programs name, and for each member a program that returns its offset in the
headers that bcc compiles with.
"""

import contextlib
import ctypes
import io
import json
import re
import runpy
import sys
from pathlib import Path

import bcc

tool, *members = sys.argv[1:]
bcc.BPF.support_kfunc = staticmethod(lambda: False)
said = io.StringIO()
sys.argv = [tool, "--ebpf"]
with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
    runpy.run_path(f"/usr/sbin/{tool}-bpfcc", run_name="__main__")
text = said.getvalue()

before = {path.name for path in Path("/proc/self/fdinfo").iterdir()}
made = bcc.BPF(text=text)


def programs(module: bcc.BPF) -> dict[str, str]:
    function_name = bcc.lib.bpf_function_name
    function_name.restype = ctypes.c_char_p
    count = bcc.lib.bpf_num_functions(ctypes.c_void_p(module.module))
    names = [function_name(ctypes.c_void_p(module.module), n) for n in range(count)]
    return {name.decode(): module.dump_func(name).hex() for name in names}


maps = {}
for path in Path("/proc/self/fdinfo").iterdir():
    if path.name not in before and path.exists():
        found = dict(
            re.findall(r"^(map_type|\w+_size|max_entries):\s+(\d+)", path.read_text(), re.M)
        )
        if "map_type" in found:
            maps[path.name] = {name: int(value) for name, value in found.items()}
asking = "#include <linux/sched.h>\n#include <net/sock.h>\n"
for number, member in enumerate(members):
    struct, _, name = member.partition(".")
    asking += f"int o{number}(void *ctx) {{ return offsetof(struct {struct}, {name}); }}\n"
offsets = programs(bcc.BPF(text=asking)) if members else {}
answer = {
    "programs": programs(made),
    "maps": maps,
    "offsets": {member: offsets[f"o{number}"] for number, member in enumerate(members)},
}
print(json.dumps(answer))
