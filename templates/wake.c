/* holes: $map (the parameters) */
/* Wake the reader when this CPU has sent as much as it may without, not at every event. */
inlined u64 wake(struct counters *counters, u64 size)
{
    u64 flags = BPF_RB_NO_WAKEUP;
    s64 quiet = counters->quiet - size;
    if (quiet < 0) {
        quiet = ((u64 *)MAP_VALUE($map))[1];
        flags = BPF_RB_FORCE_WAKEUP;
        branched();
    }
    counters->quiet = quiet;
    return flags;
}
