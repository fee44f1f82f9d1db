"""Every exception that bpfprobe raises on purpose.

::

    BpfprobeError                 anything below
    ├── SpecError                 the description is wrong: one or more places, causes, ways out
    ├── TargetError               the machine (or the recording of one) could not be read
    ├── PrivilegeError            root, or CAP_BPF with CAP_PERFMON, is needed
    ├── MissingLibraryError       libbcc, libbcc_bpf or libbpf is absent, or the wrong one
    ├── CompileError              BCC refused the generated C; carries the C and the compiler's log
    ├── ObjectError               a file of compiled programs is damaged, or for another machine
    ├── LoadError                 the kernel refused a map or a program
    │   └── VerifierError         the verifier refused it; carries its log
    ├── AttachError               a probe could not be attached; carries the errno
    ├── DecodeError               a record does not have the shape of its layout
    ├── ResourceError             no more descriptors or memory, or a file that cannot be written
    ├── SessionError              a session was used in a way that has no meaning
    ├── UsageError                a command line asks for what has no meaning
    └── LabError                  the guest could not be set up or run

Each carries ``code`` (stable, for programs), a message that names the cause, and where there is one
a ``hint`` with the way out. ``str(error)`` is the whole text a person needs, safe for a terminal.
"""

from __future__ import annotations

from bpfprobe.model.noun import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.span import Span


class BpfprobeError(Exception):
    """Base of all exceptions of this package."""

    code: str = "BPFPROBE"

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        lines = [f"{self.message} [{self.code}]"]
        return _safe([*lines, f"hint: {self.hint}"] if self.hint else lines)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong with a description.

    ``code`` is the kernel's own name for the error where it has one (``BAD_REG_NAME``).
    """

    code: str
    message: str
    span: Span | None = None
    hint: str | None = None

    def __str__(self) -> str:
        return self.text((self.span,))

    @property
    def kind(self) -> tuple[str, str, str | None, str]:
        """What it shares with others of the same cause, wherever they are."""
        label = "" if self.span is None else self.span.source.label
        return self.code, self.message, self.hint, label

    def text(self, spans: Iterable[Span | None]) -> str:
        """Cause, places and way out."""
        *_, label = self.kind
        before = f"{label}: " if label not in ("", "description") else ""
        lines = [f"{before}{self.message} [{self.code}]"]
        for span in spans:
            lines += span.drawing() if span is not None else ()
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return _safe(lines)


def _safe(lines: Iterable[str]) -> str:
    from bpfprobe.model.printable import lines_text

    return lines_text(lines)


class SpecError(BpfprobeError):
    """The description is wrong; ``diagnostics`` holds every place that was found."""

    code = "SPEC"

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        first = self.diagnostics[0]
        super().__init__(first.message, hint=first.hint, code=first.code)

    def __str__(self) -> str:
        same: dict[object, list[Diagnostic]] = {}
        for one in self.diagnostics:
            same.setdefault(one.kind, []).append(one)
        return "\n\n".join(ones[0].text(one.span for one in ones) for ones in same.values())


def spec_error(
    code: str, message: str, span: Span | None = None, hint: str | None = None
) -> SpecError:
    """A `SpecError` with a single diagnostic."""
    return SpecError([Diagnostic(code, message, span, hint)])


class TargetError(BpfprobeError):
    """The machine, or the recording of one, could not be read."""

    code = "TARGET"


class PrivilegeError(BpfprobeError):
    """The process may not do what was asked of it."""

    code = "PRIVILEGE"


class MissingLibraryError(BpfprobeError):
    """A C library is absent, or what was found is another project's."""

    code = "LIBRARY"


class CompileError(BpfprobeError):
    """BCC refused the generated C.

    ``source`` is the C text, ``log`` all that the compiler said.
    """

    code = "COMPILE"

    def __init__(
        self,
        message: str,
        *,
        source: str,
        log: str,
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.source = source
        self.log = log


class ObjectError(BpfprobeError):
    """A file of compiled programs cannot be used; ``code`` says how."""

    code = "OBJECT"


class LoadError(BpfprobeError):
    """The kernel refused a map or a program; ``errno`` says how."""

    code = "LOAD"

    def __init__(
        self, message: str, *, errno: int = 0, hint: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.errno = errno


class VerifierError(LoadError):
    """The verifier refused a program; ``log`` is all that it said.

    ``instruction`` is the number of the one it objected to, None where the log does not say.
    ``span`` is the part of the description that the instruction does the work of.
    """

    code = "VERIFIER"

    def __init__(
        self,
        message: str,
        *,
        errno: int,
        log: str,
        hint: str | None = None,
        instruction: int | None = None,
        span: Span | None = None,
    ) -> None:
        super().__init__(message, errno=errno, hint=hint)
        self.log = log
        self.instruction = instruction
        self.span = span

    def __str__(self) -> str:
        return str(Diagnostic(self.code, self.message, self.span, self.hint))


class AttachError(BpfprobeError):
    """A probe could not be attached.

    ``site`` names the place, ``errno`` is the kernel's (0 where it never came to that). ``span`` is
    the place in the description, None where the start was one that had been kept.
    """

    code = "ATTACH"

    def __init__(
        self,
        message: str,
        *,
        site: str,
        errno: int = 0,
        hint: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.site = site
        self.errno = errno
        self.span: Span | None = None

    def __str__(self) -> str:
        return str(Diagnostic(self.code, self.message, self.span, self.hint))


class DecodeError(BpfprobeError):
    """A record does not have the shape of its layout."""

    code = "DECODE"


class ResourceError(BpfprobeError):
    """The system refused what bpfprobe itself needs: a descriptor, memory, a file to write.

    ``errno`` says how. Codes: TOO_MANY_FILES, NO_MEMORY, NO_FOLDER, NO_OUTPUT, SYSTEM.
    """

    code = "SYSTEM"

    def __init__(
        self, message: str, *, errno: int = 0, hint: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.errno = errno


class SessionError(BpfprobeError):
    """A session was used in a way that has no meaning (iterated after it was closed, say)."""

    code = "SESSION"


class UsageError(BpfprobeError):
    """A command line asks for what has no meaning: options that exclude or need each other."""

    code = "USAGE"


class LabError(BpfprobeError):
    """The guest could not be set up or run."""

    code = "LAB"
