// r:opened do_sys_openat2 path=filename:ustring fd=$retval:s32 duration
// transport: ring

/* probe 0 */
struct event0 {
    u16 probe;
    u16 cpu;
    u32 marks0;
    u32 tid;
    u32 pid;
    u64 time;
    char f_comm[16];
    u64 f_duration;
    u32 f_path;
    s32 f_fd;
    u8 tail[4096];
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
    u64 kept[2];
    kept[0] = (u64)REGISTER(si);
    kept[1] = bpf_ktime_get_ns();
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
    u64 now = bpf_ktime_get_ns();
    struct inflight_key key = {thread, REGISTER(sp) - 8};
    u64 *kept = bpf_map_lookup_elem(MAP(3), &key);
    if (!kept) {
        COUNT(unmatched);
        return 0;
    }
    u64 kept0 = kept[0];
    u64 began = kept[1];
    bpf_map_delete_elem(MAP(3), &key);
    COUNT(produced);
    u32 slot = 0;
    struct event0 *event = bpf_map_lookup_elem(MAP(4), &slot);
    if (!event) {
        return 0;
    }
    event->time = now;
    u64 cpu1 = bpf_get_smp_processor_id();
    ((word *)event)[0] = cpu1 << 16 | 0;
    ((word *)event)[1] = thread;
    u64 used = 0;
    bpf_get_current_comm(event->f_comm, sizeof(event->f_comm));
    long length2 = read_user_str(&event->tail[used], 4096, kept0);
    u64 bytes3 = length2 - 1;
    if (length2 <= 0) {
        event->marks0 |= 1U;
        bytes3 = 0;
        branched();
    }
    if (length2 == 4096) {
        u8 next = 0;
        probe_read_user(&next, 1, (void *)(kept0 + 4095));
        if (next) {
            event->marks0 |= 65536U;
        }
    }
    event->f_path = (bytes3 << 16) | (56 + used);
    used += bytes3;
    bound(used, 4096);
    event->f_fd = (u64)(s32)((u64)REGISTER(ax));
    event->f_duration = (now - began);
    opaque(used);
    if (bpf_ringbuf_output(EVENTS, event, 56 + used, wake(counters, 56 + used))) {
        COUNT(lost);
    }
    return 0;
}
