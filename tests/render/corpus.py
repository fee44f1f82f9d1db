"""Many probes, which between them make render print everything that it can."""

from __future__ import annotations

import bpfprobe as bp
from bpfprobe.model.value import Builtin

TYPES = [f"{sign}{bits}" for sign in "usx" for bits in (8, 16, 32, 64)]
BUILTINS = [b.value for b in Builtin if b is not Builtin.TASK]
LONG = "x" * 255

_GLOBS = ["a*", "*a", "*a*", "a?c", "[a-z]*", "[!0-9]x", "[]a-]*", "\\\\*x", "a*b*c*", "?", "*"]
_GLOBS += ["[z-a]"]
_MORE = ["ppid", "func", "comm", "argv"]
_ON_RETURN = ["retval", "duration", "count", "argv"]

KERNEL: list[str | bp.Probe] = [
    "p:plain vfs_read",
    bp.kprobe("vfs_read", comm=False, captures={f"c_{t}": f"count:{t}" for t in TYPES}),
    bp.kprobe("vfs_read", captures={f"c_{t}": f"+8(file):{t}" for t in [*TYPES, "char", "bool"]}),
    bp.kprobe("untyped", captures={f"c_{t}": f"+0(%si):{t}[7]" for t in TYPES}),
    bp.kprobe("vfs_read", captures={f"c_{b}": b for b in [*BUILTINS, *_MORE]}),
    bp.kretprobe("vfs_read", captures={f"c_{b}": b for b in _ON_RETURN}),
    bp.kretprobe("vfs_read", filter="duration > 1000 && retval < 0 && count != 4"),
    "r:kept do_sys_openat2 a=entry(how->flags) b=how->flags c=filename d=entry(filename):ustring "
    "e=entry(how->flags)+how->mode if entry(how->mode) == 4",
    "p:members vfs_read i=file->f_inode->i_sb->s_magic d=file->f_path.dentry->d_name.len "
    "r=file->ready l=file->level k=file->locked m=file->marks[79] t=file->tags "
    "n=file->f_path.dentry->d_name.name s=file->f_path.dentry->d_iname u=*pos v=pos[2]",
    "p:casts untyped a=((struct open_how *)$arg1)->mode b=*(u32 *)$arg2 c=(s8)$arg3 "
    "d=((struct open_how *)$arg1)[2].flags e=(unsigned long)$arg4 f=$arg7 g=+0(+8(-16(%bp))):u16 "
    "h=+u0(+u8(%si)) i=@jiffies_like j=@0xffffffff81000000:u32 k=\\-42 l=\\0xffffffffffffffff",
    'p:numbers vfs_read a=count+1 b=count-1 c=count*3 d=count/7 e=count%7 f=count<<3 g=count>>3 '
    "h=count&0xff i=count|1 j=count^1 k=-count l=~count m=!count n=count==4 o=count>4&&pid==1 "
    'p=comm=="x"||comm~"[a-z]*" q=(count>4)==(pid<3) r=-9223372036854775808 s=(s32)count>>1',
    "p:strings untyped a=$arg1:string b=$arg2:ustring c=+8($arg3):string d=+u0($arg4):string "
    'e=$current->comm f=\\"constant" g=$comm',
    "r:eighth eight g h x=h->f_flags $retval",
    bp.kprobe("vfs_read", captures={f"c{n}": f"file->marks[{n}]" for n in range(40)}),
    bp.kprobe("untyped", captures={f"c{n}": f"+{n}(+0(%di)):u{8 << n % 4}" for n in range(100)}),
    bp.kprobe("vfs_read", string_bytes=2, a="+0(buf):ustring", b="argv"),
    bp.kprobe("vfs_read", string_bytes=7000, a="+0(buf):ustring", b="+9(buf):ustring"),
    bp.kretprobe("vfs_read", captures={f"c{n}": f"entry(file->marks[{n}])" for n in range(24)}),
    "r:name vfs_read if comm == \"fifteen-bytes-x\" && comm != \"\" && func == \"vfs_read\"",
    bp.kprobe("vfs_read", filter=" || ".join(f"pid == {n}" for n in range(150))),
    bp.kprobe("vfs_read", filter=" || ".join(f'+0(buf) == "{n}"' for n in range(60))),
    bp.kprobe("vfs_read", filter=" && ".join(f'+0(buf) != "{LONG[:61]}{n}"' for n in range(12))),
    bp.kprobe("vfs_read", filter=f'+u0(buf) == "{LONG}" || (+0(buf) == "{LONG}") == (count == 3)'),
    bp.kprobe("vfs_read", filter=f'+0(buf) ~ "{LONG[:254]}*" || +0(buf) ~ "*{LONG[:61]}"'),
    bp.kprobe("vfs_read", filter=f'file->f_path.dentry->d_iname == "{"x" * 31}"'),
    bp.kprobe("vfs_read", filter='$current->comm ~ "longer-than-the-array-itself-is*"'),
    *(bp.kprobe("open_it", filter=f'name ~ "{g}" || name ~ "x{g}"', name="name") for g in _GLOBS),
    bp.kprobe("open_it", filter=" && ".join(f'!(comm ~ "{g}")' for g in _GLOBS)),
    bp.kprobe("open_it", filter='name ~ "!*x*" || !(name == "a" && pid == 1)', name="name:ustring"),
    bp.kprobe("vfs_read", string_bytes=7000, a="+u0(buf):bytes[count]", b="buf:bytes[(s32)*pos]"),
    bp.kretprobe("vfs_read", a="buf:bytes[retval]", b="+0(file):bytes[16]", filter="retval > 0"),
    bp.kprobe("vfs_read", k="kstack", u="ustack", s="+0(buf):ustring"),
    bp.kretprobe("vfs_read", k="kstack", filter="retval < 0"),
    'vfs_read(struct file *f, char __user *b) (f->f_inode->i_ino == 3 && STRCMP("x", b)) "%s %K", '
    "b, f",
    'r::do_sys_openat2 ((int)retval < 0 && $pid != $tgid) "%s %d %c", arg2@user, retval, arg1',
    'p::__x64_sys_openat (STRCMP("/etc/passwd", arg2)) "%s %lx", arg2, arg3',
    "p:types untyped a=+0(%di):string[3] b=+u0(%si):ustring[2] c=%ip:symbol d=$stack0:symstr "
    "e=$arg1:%pd f=$arg2:%pD g=%dx:b3@2/8 h=+0(%di):b12@3/32 i=+0(%di):b4@4/8[3] "
    "j=+0($stack):symbol[2] k=(file)$arg1->f_flags l=(file,f_inode)$arg1->f_path.dentry "
    "m=this_cpu_read($arg1):u32 n=this_cpu_ptr(@jiffies_like) o=$stack2048 p=+0(+0(%di)):string[2]",
    "p:many untyped a=+0(%di):string[64]",
    "r:all vfs_read $arg* $retval",
    "f:left vfs_read%return n=$arg3 $retval",
    "e:switched sched/sched_switch a=$prev_pid b=$prev_comm:string",
    "syscall:openat filename flags dfd:s32",
    "syscall:openat%return filename retval duration",
    "syscall:execve filename argv",
    "syscall:execve%return argv $retval ppid",
]  # fmt: skip
USER: list[str | bp.Probe] = [
    "uprobe:bash:main",
    "uprobe:bash:main a=$arg1 b=$arg2:string c=+8(%di):u32 d=@0x404000:u8 e=$stack1 f=argv",
    'uprobe:bash:main a=$arg1:string if $arg1 == 4 && +0($arg2) ~ "*x*"',
    "uretprobe:bash:main $retval:string $arg1 duration",
    "uretprobe:bash:main $retval",
    "uprobe:bash:main kstack ustack s=$arg1:string",
    "uprobe:bash:main a=@+0x10:x32 b=@+0x2000:string c=+0(%si):string[3]",
    "uretprobe:bash:main a=@+0x10:x32 b=$retval",
    'r:bash:main (retval) "%s %U", retval, arg1',
    bp.uprobe("bash", "main", captures={f"c{n}": f"+{8 * n}(%di):x64[16]" for n in range(10)}),
]
RECORDS: list[str | bp.Probe] = [
    "tracepoint:sched:sched_switch prev_comm prev_pid prev_prio prev_state if prev_comm == \"sh\"",
    "tracepoint:sched:sched_process_exec filename pid_=pid old_pid if filename ~ \"*/bin/*\"",
    "tracepoint:sched:sched_switch kstack ustack prev_comm",
    't:sched:sched_switch (args->prev_prio & 1) "%s %hd", args->prev_comm, args->prev_pid',
    "tracepoint:lab:shapes text n=numbers[1] m=numbers:u32[3] four small f=file->f_flags why",
]  # fmt: skip
EVERYTHING = [*KERNEL, *USER, *RECORDS]
