// r:opened do_sys_openat2 mode=entry(how->mode)
// transport: ring

struct k_open_how {
    union {
        struct {
            u8 mode__at[8]; u64 mode;
        } __attribute__((packed));
    };
};

/* probe 0 */
struct event0 {
    u16 probe;
    u16 cpu;
    u32 marks0;
    u32 tid;
    u32 pid;
    u64 time;
    char f_comm[16];
    u64 f_mode;
};

int e0_opened(struct pt_regs *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    struct inflight_key key = {thread, REGISTER(sp)}; /* before any call, which these would outlive */
    struct counters *counters = counters_of(0);
    if (!counters) {
        bpf_map_delete_elem(MAP(3), &key); /* of an earlier call, whose return was not seen */
        return 0;
    }
    u64 kept[2] = {};
    u64 value1;
    long fault2 = probe_read_kernel(&value1, sizeof(value1), &((struct k_open_how *)((u64)REGISTER(dx)))->mode);
    kept[0] = (u64)value1;
    kept[1] |= (u64)!!(fault2) << 0;
    COUNT(entries);
    if (bpf_map_update_elem(MAP(3), &key, kept, 0)) {
        COUNT(inflight_full);
    }
    return 0;
}

int p0_opened(struct pt_regs *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    struct counters *counters = counters_of(0);
    if (!counters) {
        struct inflight_key open = {thread, REGISTER(sp) - 8};
        if (!bpf_map_delete_elem(MAP(3), &open) && (counters = counters_at(0))) {
            COUNT(after_end);
        }
        return 0;
    }
    struct inflight_key key = {thread, REGISTER(sp) - 8};
    u64 *kept = bpf_map_lookup_elem(MAP(3), &key);
    if (!kept) {
        COUNT(unmatched);
        return 0;
    }
    u64 kept0 = kept[0];
    u64 kept_faults = kept[1];
    bpf_map_delete_elem(MAP(3), &key);
    COUNT(produced);
    struct event0 *event = bpf_ringbuf_reserve(EVENTS, sizeof(*event), 0);
    if (!event) {
        COUNT(lost);
        return 0;
    }
    u64 now = bpf_ktime_get_ns();
    event->time = now;
    u64 cpu1 = bpf_get_smp_processor_id();
    ((word *)event)[0] = cpu1 << 16 | 0;
    ((word *)event)[1] = thread;
    bpf_get_current_comm(event->f_comm, sizeof(event->f_comm));
    event->f_mode = kept0;
    if ((kept_faults >> 0 & 1)) {
        event->marks0 |= 1U;
    }
    bpf_ringbuf_submit(event, wake(counters, 48));
    return 0;
}
