// r:opened do_sys_openat2 path=filename:ustring fd=$retval:s32 duration
// transport: ring

/* probe 0 */
struct event0 {
    u16 probe;
    u16 cpu;
    u32 tid;
    u32 pid;
    u32 marks0;
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
    struct counters *counters = counters_of(0);
    if (!counters) {
        return 0;
    }
    struct inflight_key key = {};
    key.thread = thread;
    key.frame = REGISTER(sp);
    u64 kept[2] = {};
    kept[0] = (u64)REGISTER(si);
    kept[1] = bpf_ktime_get_ns();
    counters->entries++;
    if (bpf_map_update_elem(MAP(2), &key, kept, 0)) {
        counters->inflight_full++;
    }
    return 0;
}

int p0_opened(struct pt_regs *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    struct counters *counters = counters_of(0);
    if (!counters) {
        return 0;
    }
    u64 now = bpf_ktime_get_ns();
    struct inflight_key key = {};
    key.thread = thread;
    key.frame = REGISTER(sp) - 8;
    u64 *kept = bpf_map_lookup_elem(MAP(2), &key);
    if (!kept) {
        counters->unmatched++;
        return 0;
    }
    counters->returns++;
    u64 kept0 = kept[0];
    u64 began = kept[1];
    bpf_map_delete_elem(MAP(2), &key);
    counters->produced++;
    u32 slot = 0;
    struct event0 *event = bpf_map_lookup_elem(MAP(3), &slot);
    if (!event) {
        return 0;
    }
    event->probe = 0;
    event->cpu = bpf_get_smp_processor_id();
    event->tid = thread;
    event->pid = thread >> 32;
    event->time = now;
    u32 marks0 = 0;
    u64 used = 0;
    bpf_get_current_comm(event->f_comm, sizeof(event->f_comm));
    long length1 = bpf_probe_read_user_str(&event->tail[used], 4096, (void *)(kept0));
    if (length1 < 0) {
        marks0 |= 1U << 0;
        length1 = 0;
        branched();
    }
    if (length1 == 4096) {
        u8 next = 0;
        bpf_probe_read_user(&next, 1, (void *)(kept0 + 4095));
        if (next) {
            marks0 |= 1U << 16;
        }
    }
    event->f_path = (length1 << 16) | (56 + used);
    if (length1 > 0) {
        event->f_path -= 0x10000;
        used += length1 - 1;
        branched();
    }
    bound(used, 4096);
    event->f_fd = (u64)(s32)((u64)REGISTER(ax));
    event->f_duration = (now - began);
    event->marks0 = marks0;
    if (bpf_ringbuf_output(EVENTS, event, 56 + used, wake())) {
        counters->lost++;
    }
    return 0;
}
