// p:exec open_it name:string
// transport: perf

/* probe 0 */
struct event0 {
    u16 probe;
    u16 cpu;
    u32 marks0;
    u32 tid;
    u32 pid;
    u64 time;
    char f_comm[16];
    u32 f_name;
    u8 pad[4];
    u8 tail[4096];
};

int p0_exec(struct pt_regs *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    struct counters *counters = counters_of(0);
    if (!counters) {
        return 0;
    }
    COUNT(produced);
    u32 slot = 0;
    struct event0 *event = bpf_map_lookup_elem(MAP(3), &slot);
    if (!event) {
        return 0;
    }
    u64 now = bpf_ktime_get_ns();
    event->time = now;
    u64 cpu1 = bpf_get_smp_processor_id();
    ((word *)event)[0] = cpu1 << 16 | 0;
    ((word *)event)[1] = thread;
    u64 used = 0;
    bpf_get_current_comm(event->f_comm, sizeof(event->f_comm));
    long length2 = read_any_str(&event->tail[used], 4096, (u64)REGISTER(di));
    u64 bytes3 = length2 - 1;
    if (length2 <= 0) {
        event->marks0 |= 1U;
        bytes3 = 0;
        branched();
    }
    if (length2 == 4096) {
        u8 next = 0;
        if ((s64)((u64)REGISTER(di) + 4095) < 0) {
            probe_read_kernel(&next, 1, (void *)((u64)REGISTER(di) + 4095));
        }
        else {
            probe_read_user(&next, 1, (void *)((u64)REGISTER(di) + 4095));
        }
        if (next) {
            event->marks0 |= 65536U;
        }
    }
    event->f_name = (bytes3 << 16) | (48 + used);
    used += bytes3;
    bound(used, 4096);
    opaque(used);
    if (bpf_perf_event_output(ctx, EVENTS, BPF_F_CURRENT_CPU, event, 48 + used)) {
        COUNT(lost);
    }
    return 0;
}
