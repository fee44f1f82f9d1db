/* holes: $counters (members of struct counters) $wake_at $wake_window (bytes) */
#define EVENTS MAP(0)
#define COUNTERS MAP(1)

struct counters {
$counters
};

struct inflight_key {
    u64 thread;
    u64 frame;
};

/*
 * A number of 8, 16, 32 or 64 bits in what the program is handed. The verifier wants the offset in the
 * instruction itself; a compiler that sees the same one twice would compute the address only once.
 */
#define IN_CONTEXT(bits, offset) ({ \
        u64 in_context; \
        asm("%0 = *(u" #bits " *)(%1 + %2)" : "=r"(in_context) : "r"(ctx), "i"(offset)); \
        in_context; \
    })
#define REGISTER(name) IN_CONTEXT(64, __builtin_offsetof(struct pt_regs, name))

/* A u64 of what the program is handed, and the ones behind it by their number. */
#define PARAMETER(offset, number) (((u64 *)(parameters + offset))[number])

inlined struct counters *counters_of(u32 probe)
{
    return bpf_map_lookup_elem(COUNTERS, &probe);
}

/* Wake the reader when the ring has filled up this far, not at every event. */
inlined u64 wake(void)
{
    u64 pending = bpf_ringbuf_query(EVENTS, BPF_RB_AVAIL_DATA);

    return pending - $wake_at < $wake_window ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* A string that is in user memory or in the kernel's, as its address tells. */
inlined long read_any_str(void *to, u32 size, u64 from)
{
    if ((s64)from < 0) {
        return bpf_probe_read_kernel_str(to, size, (void *)from);
    }
    return bpf_probe_read_user_str(to, size, (void *)from);
}
