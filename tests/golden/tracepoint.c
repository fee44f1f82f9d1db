// tracepoint:sched:sched_process_exec filename id=pid
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
    u32 f_filename;
    s32 f_id;
    u8 tail[4096];
};

int p0_sched_proces(void *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    struct counters *counters = counters_of(0);
    if (!counters) {
        return 0;
    }
    u64 now = bpf_ktime_get_ns();
    counters->produced++;
    u32 slot = 0;
    struct event0 *event = bpf_map_lookup_elem(MAP(2), &slot);
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
    long length1 = bpf_probe_read_kernel_str(&event->tail[used], 4096, (void *)(((u64)ctx + (IN_CONTEXT(32, 8) & 0xffff))));
    if (length1 < 0) {
        marks0 |= 1U << 0;
        length1 = 0;
        branched();
    }
    if (length1 == 4096) {
        u8 next = 0;
        bpf_probe_read_kernel(&next, 1, (void *)(((u64)ctx + (IN_CONTEXT(32, 8) & 0xffff)) + 4095));
        if (next) {
            marks0 |= 1U << 16;
        }
    }
    event->f_filename = (length1 << 16) | (48 + used);
    if (length1 > 0) {
        event->f_filename -= 0x10000;
        used += length1 - 1;
        branched();
    }
    bound(used, 4096);
    event->f_id = (u64)(s32)(IN_CONTEXT(32, 12));
    event->marks0 = marks0;
    if (bpf_ringbuf_output(EVENTS, event, 48 + used, wake())) {
        counters->lost++;
    }
    return 0;
}
