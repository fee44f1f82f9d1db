"""The command: ``bpfprobe``, and ``python -m bpfprobe`` where it is not in the PATH."""

import _signal  # type: ignore[import-not-found]  # typeshed has no stub; signal itself is slower

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command line of this process, and exit with its status.

    Ctrl-C ends it at once while it imports and when all is done: a command that has something to
    undo says so with `bpfprobe.signals.raise_interrupts`.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from bpfprobe.signals import end_at_interrupts

    try:
        from bpfprobe.cli.main import main as run

        run()
    finally:
        end_at_interrupts()


if __name__ == "__main__":
    main()
