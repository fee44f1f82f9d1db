"""bpfprobe: describe a probe, get typed events."""
