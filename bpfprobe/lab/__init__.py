"""A guest to try probes in: a real distribution kernel under emulation, private and thrown away.

::

    from bpfprobe.lab import Lab

    with Lab(kernel="6.1").restore() as guest:
        result = guest.run(["python3", "-m", "bpfprobe", "--version"])
"""

from bpfprobe.lab.errors import GuestFault, GuestLost, GuestTimeout, LabUnavailable
from bpfprobe.lab.guest import Guest, Result
from bpfprobe.lab.lab import Lab

__all__ = ["Guest", "GuestFault", "GuestLost", "GuestTimeout", "Lab", "LabUnavailable", "Result"]
