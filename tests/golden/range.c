// p:made open_it flags=((struct open_how *)$arg1)->flags mode=((struct open_how *)$arg1)->mode
// transport: ring

struct k_open_how {
    union {
        struct {
            u64 flags;
        } __attribute__((packed));
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
    u64 f_flags;
    u64 f_mode;
};

int p0_made(struct pt_regs *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    struct counters *counters = counters_of(0);
    if (!counters) {
        return 0;
    }
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
    long fault2 = probe_read_kernel(&event->f_flags, 16, &((struct k_open_how *)((u64)REGISTER(di)))->flags);
    if (fault2) {
        event->marks0 |= 3U;
    }
    bpf_ringbuf_submit(event, wake(counters, 56));
    return 0;
}
