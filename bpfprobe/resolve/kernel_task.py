"""What is read from the kernel's idea of the current task: its parent and its command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.noun import dataclass
from bpfprobe.model.value import ArgumentVector, Builtin, BuiltinValue, Load, Space, Value
from bpfprobe.resolve.members import find_member
from bpfprobe.resolve.operand import scalar_of

if TYPE_CHECKING:
    from bpfprobe.model.span import Span
    from bpfprobe.target import Target


@dataclass(frozen=True, slots=True)
class KernelTask:
    """Chains of members from the current ``struct task_struct``."""

    target: Target

    def parent_pid(self, span: Span) -> Value:
        """``current->real_parent->tgid``, the parent as getppid(2) tells it.

        That is its number in the initial pid namespace: refused in another (PPID_NAMESPACE).
        """
        if self.target.facts().pid_namespace is not None:
            raise spec_error(
                "PPID_NAMESPACE",
                f"{span.text} is known in the initial pid namespace only, and this is another",
                span,
                "trace from outside of all containers, or take pid",
            )
        return self._chain(("task_struct", "real_parent"), ("task_struct", "tgid"), span=span)

    def command_line(self, span: Span) -> ArgumentVector:
        """``current->mm->arg_start`` to ``arg_end``, what /proc/PID/cmdline shows."""
        return ArgumentVector(
            start=self._chain(("task_struct", "mm"), ("mm_struct", "arg_start"), span=span),
            end=self._chain(("task_struct", "mm"), ("mm_struct", "arg_end"), span=span),
        )

    def _chain(self, *steps: tuple[str, str], span: Span) -> Value:
        value: Value = BuiltinValue(Builtin.TASK)
        for struct_name, member_name in steps:
            struct = self.target.struct(struct_name)
            found = find_member(self.target, struct, member_name) if struct else None
            scalar = scalar_of(found.type) if found else None
            if found is None or scalar is None:
                raise spec_error(
                    "NOSUP_BTFARG",
                    f"{span.text} needs struct {struct_name}, which this kernel does not describe",
                    span,
                    "a kernel with CONFIG_DEBUG_INFO_BTF has it",
                )
            value = Load(value, found.offset, scalar, Space.KERNEL, struct_name, member_name)
        return value
