"""What this machine allows, check by check: `examine` reads, the rest judges text it is given."""

from bpfprobe.target.checks.check import Check
from bpfprobe.target.checks.examination import Examination, examine

__all__ = ["Check", "Examination", "examine"]
