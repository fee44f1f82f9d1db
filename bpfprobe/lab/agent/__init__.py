"""The half of the lab that runs inside the guest, as its first process.

It travels as a package of its own (``bpfprobe_agent``), so it imports the standard library and
itself only, by relative names. The host imports :mod:`.wire` from here: the two ends share one
definition of what passes between them.
"""
