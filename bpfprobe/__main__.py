"""``python -m bpfprobe``: the command, where it is not in the PATH."""

import sys

from bpfprobe.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
