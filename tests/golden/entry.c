// p:reads vfs_read count flags=file->f_flags if pid == 7 && count > 4096
// transport: ring

struct k_file {
    union {
        struct {
            u8 f_flags__at[24]; u32 f_flags;
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
    u64 f_count;
    u32 f_flags;
    u8 pad[4];
};

int p0_reads(struct pt_regs *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    void *parameters = MAP_VALUE(2);
    parameters += *(volatile u64 *)parameters & 16;
    u64 pid1 = thread >> 32;
    asm volatile("" : "+r"(pid1));
    if (!((s64)pid1 == (s64)PARAMETER(16, 0))) {
        return 0;
    }
    if (!((u64)REGISTER(dx) > PARAMETER(24, 0))) {
        return 0;
    }
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
    u64 cpu2 = bpf_get_smp_processor_id();
    ((word *)event)[0] = cpu2 << 16 | 0;
    ((word *)event)[1] = thread;
    bpf_get_current_comm(event->f_comm, sizeof(event->f_comm));
    event->f_count = (u64)REGISTER(dx);
    long fault3 = probe_read_kernel(&event->f_flags, sizeof(event->f_flags), &((struct k_file *)((u64)REGISTER(di)))->f_flags);
    if (fault3) {
        event->marks0 |= 1U;
    }
    bpf_ringbuf_submit(event, wake(counters, 56));
    return 0;
}
