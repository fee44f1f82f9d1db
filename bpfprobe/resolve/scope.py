"""What the names in an expression mean at one probe."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bpfprobe.errors import SpecError, TargetError, spec_error
from bpfprobe.model.noun import dataclass
from bpfprobe.model.stack import Caller, StackValue
from bpfprobe.model.value import (
    Builtin,
    BuiltinValue,
    CommText,
    ConstantText,
    Duration,
    PlaceText,
    Space,
)
from bpfprobe.resolve.event_fields import event_field
from bpfprobe.resolve.like_builtins import like_builtins
from bpfprobe.resolve.operand import ArgvOperand, NumberOperand, Operand, StackOperand, TextOperand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.span import Span
    from bpfprobe.resolve.debug_arguments import DebugArguments
    from bpfprobe.resolve.kernel_task import KernelTask
    from bpfprobe.target import Target

_NONE: Mapping[Any, Any] = MappingProxyType({})

TRACEFS_WAY_OUT = "mount -t tracefs tracefs /sys/kernel/tracing"
BUILTIN_NAMES = (
    "pid",
    "tid",
    "uid",
    "gid",
    "comm",
    "cpu",
    "time",
    "ppid",
    "cgroup",
    "func",
    "argv",
    "retval",
    "duration",
    "kstack",
    "ustack",
)
_WORDS = {"nsecs": "time", "execname": "comm", "tgid": "pid", "username": "uid", "usym": "ustack"}


@dataclass(frozen=True, slots=True)
class Scope:
    """The names at a probe.

    ``arguments`` are the function's (or the tracepoint's fields) by name, ``numbered`` the same by
    place, from 1. ``space`` is what pointers point into unless their type says otherwise.
    ``refused`` are arguments by name, ``unreadable`` the same by place, that no program can take,
    with the reason. ``places`` are the functions that a glob means.
    ``retval`` is None where the probe is not a return probe, or why no program can take it.
    ``in_filter`` is true for a filter, where an unknown name has the kernel's word for it.
    ``debug_arguments`` are those of a function of a program. A name that is a builtin's too is
    refused there: what it means would depend on debug information being there.
    ``file_offset`` is the place of the probe in its program. ``is_inside`` is true behind the entry
    of a function. ``untyped`` gives arguments behind the registers where no type tells which.
    ``user_callers`` and ``kernel_callers`` are those of `StackValue`.
    """

    target: Target
    arch: Arch
    task: KernelTask
    function: str
    space: Space
    returns: bool
    arguments: Mapping[str, Operand]
    numbered: Mapping[int, Operand]
    argument_count: int | None
    retval: Operand | TargetError | None
    has_registers: bool = True
    is_syscall: bool = False
    argv: ArgvOperand | None = None
    captures: Mapping[str, Operand] = _NONE
    in_filter: bool = False
    refused: Mapping[str, TargetError] = _NONE
    unreadable: Mapping[int, TargetError] = _NONE
    file_offset: int | None = None
    is_inside: bool = False
    is_fprobe: bool = False
    is_eprobe: bool = False
    untyped: Callable[[int], Operand | None] | None = None
    places: tuple[str, ...] = ()
    debug_arguments: DebugArguments | None = None
    user_callers: tuple[Caller, ...] = ()
    kernel_callers: tuple[Caller, ...] = ()

    def name(self, name: str, span: Span) -> Operand:
        """A bare name: a capture, else an argument, else a builtin, else a field of every event.

        An argument that cannot be reached, or may be meant, is never replaced by a builtin.
        """
        if name in self.captures:
            return self.captures[name]
        if name in self.arguments:
            return self.arguments[name]
        if name in self.refused:
            raise self._unknown(name, span)
        if name in BUILTIN_NAMES:
            if self._may_be_argument(name):
                raise self._ambiguous(name, span)
            return self.builtin(name, span)
        # COMM, CPU and their like are names of filters: to an e that takes one it is a field.
        field = event_field(name, span) if self.in_filter or not self.is_eprobe else None
        if field is not None:
            return field
        if self.debug_arguments is not None and not self.is_inside:
            operand = self.debug_arguments.find(name, span)
            if operand is not None:
                return operand
        raise self._unknown(name, span)

    def named_argument(self, name: str, span: Span) -> Operand:
        """``args.NAME``: an argument or field, whatever else has its name."""
        if name in self.arguments:
            return self.arguments[name]
        if self.debug_arguments is not None and not self.is_inside:
            operand = self.debug_arguments.find(name, span)
            if operand is not None:
                return operand
        raise self._unknown(name, span, prefix="args.")

    def has_name(self, name: str) -> bool:
        """Whether it is a capture, or an argument or field that a program can take."""
        return name in self.captures or name in self.arguments

    def is_hidden_argument(self, name: str) -> bool:
        """Whether a builtin hides an argument of that name, which debug information knows."""
        if self.debug_arguments is None or self.is_inside or self.has_name(name):
            return False
        return name in BUILTIN_NAMES and self._may_be_argument(name)

    @property
    def has_args(self) -> bool:
        """Whether ``args`` is a name of its own here, and so no way to name an argument."""
        names = (self.captures, self.arguments, self.refused)
        return any("args" in some for some in names) or self._may_be_argument("args")

    def _may_be_argument(self, name: str) -> bool:
        if self.debug_arguments is not None:
            return self.debug_arguments.has(name)
        return self.is_syscall and not self.arguments and name in like_builtins(self.function)

    def _ambiguous(self, name: str, span: Span) -> SpecError:
        """The refusal of a name whose meaning would depend on what is installed or mounted."""
        ways = [f"${name} is the builtin"]
        if self.is_inside:
            ways.append("the argument is there at the function's entry only")
        elif self.is_syscall:
            ways.append(f"the argument's name is in tracefs (as root: {TRACEFS_WAY_OUT})")
        elif not self.has_args:
            ways.insert(0, f"args.{name} is the argument")
        else:
            ways.insert(0, "$arg1, $arg2, ... are the arguments")
        message = f"{name} is an argument of {self.function}, and a builtin too"
        return spec_error("AMBIGUOUS_NAME", message, span, ", ".join(ways))

    def builtin(self, name: str, span: Span) -> Operand:
        """What every probe has."""
        if name == "comm":
            return TextOperand(CommText())
        if name == "func":
            return self._function(span)
        if name == "retval":
            return self.return_value(span)
        if name == "duration":
            if not self.returns:
                raise self._only_on_return("duration", span)
            return NumberOperand(Duration())
        if name == "ppid":
            return NumberOperand(self.task.parent_pid(span))
        if name == "argv":
            return self.argv or ArgvOperand(self.task.command_line(span))
        if name in ("kstack", "ustack"):
            callers = self.user_callers if name == "ustack" else self.kernel_callers
            return StackOperand(StackValue(name == "ustack", callers))
        return NumberOperand(BuiltinValue(Builtin(name)))

    def _function(self, span: Span) -> Operand:
        """The name of the function, of those that a glob means the one that was hit."""
        if not self.places:
            return TextOperand(ConstantText(self.function.encode()))
        cookies = self.target.facts().attach_cookie
        if cookies.present is False:
            raise spec_error(
                "NO_COOKIE",
                f"this kernel does not tell a program which of {len(self.places)} functions was "
                f"hit ({cookies.evidence})",
                span,
                "that came with Linux 5.15; a probe of its own for each function knows its name",
            )
        return TextOperand(PlaceText(self.places))

    def return_value(self, span: Span) -> Operand:
        """``$retval``."""
        if isinstance(self.retval, TargetError):
            raise _refusal(self.retval, span)
        if self.retval is None:
            raise self._only_on_return("return value", span)
        typed = self.debug_arguments.returned(span) if self.debug_arguments is not None else None
        return typed or self.retval

    def _only_on_return(self, what: str, span: Span) -> SpecError:
        if not self.has_registers and not self.is_syscall:
            hint = f"its fields are {', '.join(self.arguments)}"
            return spec_error("RETVAL_ON_PROBE", f"an event has no {what} of its own", span, hint)
        return spec_error(
            "RETVAL_ON_PROBE",
            f"there is no {what} on entry",
            span,
            "a return probe has it: kretprobe, uretprobe, r:, or syscall",
        )

    def argument(self, number: int, span: Span) -> Operand:
        """``$argN``."""
        if self.debug_arguments is not None and self.numbered:
            typed = self.debug_arguments.numbered(number, span)
            if typed is not None:
                return typed
        if number in self.numbered:
            return self.numbered[number]
        if number in self.unreadable:
            raise _refusal(self.unreadable[number], span)
        if self.untyped is not None and (operand := self.untyped(number)) is not None:
            return operand
        if self.argument_count is not None and number > self.argument_count:
            some = f"{self.argument_count} argument{'s' if self.argument_count != 1 else ''}"
            names = ", ".join([*self.arguments, *self.refused])
            raise spec_error(
                "NO_BTFARG",
                f"{self.function} has {some}, so there is no argument {number}",
                span,
                f"they are {names}" if names else "registers are there, as %ax, and the $stack",
            )
        if not self.numbered:
            raise spec_error(
                "NOFENTRY_ARGS",
                "only the entry of a function has numbered arguments",
                span,
                "a tracepoint has fields by name; inside a function there are registers, as %ax",
            )
        if not self.has_registers:
            raise spec_error(
                "BAD_ARG_NUM", f"there is no argument {number}", span, "a system call has 6 at most"
            )
        raise spec_error(
            "BAD_ARG_NUM",
            f"it is not known where argument {number} of {self.function} is",
            span,
            f"on {self.arch.name} the first {len(self.arch.arguments)} are in registers",
        )

    def _unknown(self, name: str, span: Span, prefix: str = "") -> SpecError:
        if name in self.refused:
            return self._unreached(name, span)
        from difflib import get_close_matches  # only mistakes want it

        known = [*self.arguments] if prefix else [*self.captures, *self.arguments, *BUILTIN_NAMES]
        near = [prefix + one for one in get_close_matches(name, known, n=3, cutoff=0.6)]
        what = f"{self.function} has no argument {name}"
        if self.numbered and re.fullmatch("arg[1-9][0-9]*", name):
            hint = f"did you mean ${name}?"
        elif self.numbered and name == "arg0":
            hint = "arguments are counted from 1: did you mean $arg1?"
        elif not prefix and (word := self._of_another_tool(name)):
            hint = f"did you mean {word}?"
        elif near:
            hint = f"did you mean {' or '.join(near)}?"
        elif self.arguments:
            hint = f"its arguments are {', '.join(self.arguments)}"
        else:
            what = f"the arguments of {self.function} are not known by name here, {name} neither"
            hint = "$arg1, $arg2, ... always work"
            if self.debug_arguments is not None and not self.is_inside:
                hint += f"; {self.debug_arguments.way_to_names()}"
            if self.is_inside:
                hint = "only its entry has arguments; here there are registers, as %ax, and $stack"
            if self.is_syscall:
                hint += "; tracefs has the names (as root: " + TRACEFS_WAY_OUT + ")"
        return spec_error(self._unknown_code, what, span, hint)

    def _of_another_tool(self, name: str) -> str:
        """Return our word for a builtin of bpftrace or bcc, "" where there is none."""
        if name in ("curtask", "task", "current"):
            return "$current" if self.space is Space.KERNEL else ""
        if name == "elapsed":
            return "duration" if self.returns else "time"
        return _WORDS.get(name, "")

    def _unreached(self, name: str, span: Span) -> SpecError:
        """The refusal of an argument that is there, where no program can take it."""
        why = self.refused[name]
        hint = f"${name} is the builtin; {why.hint}" if name in BUILTIN_NAMES else why.hint
        return spec_error(why.code, why.message, span, hint)

    @property
    def _unknown_code(self) -> str:
        """What the kernel calls a name that means nothing at such a place."""
        if self.in_filter:
            return "FIELD_NOT_FOUND"
        if self.is_eprobe:
            return "NO_EVENT_FIELD"
        nameless = self.is_inside or (self.space is Space.USER and not self.is_syscall)
        return "NOSUP_BTFARG" if nameless else "NO_BTFARG"


def _refusal(why: TargetError, span: Span) -> SpecError:
    return spec_error(why.code, why.message, span, why.hint)
