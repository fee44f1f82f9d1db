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
    u32 tid;
    u32 pid;
    u32 marks0;
    u64 time;
    char f_comm[16];
    u64 f_mode;
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
    u64 value1 = 0;
    long fault2 = bpf_probe_read_kernel(&value1, sizeof(value1), &((struct k_open_how *)((u64)REGISTER(dx)))->mode);
    kept[0] = (u64)value1;
    kept[1] |= (u64)!!(fault2) << 0;
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
    u64 kept_faults = kept[1];
    bpf_map_delete_elem(MAP(2), &key);
    counters->produced++;
    struct event0 *event = bpf_ringbuf_reserve(EVENTS, sizeof(*event), 0);
    if (!event) {
        counters->lost++;
        return 0;
    }
    event->probe = 0;
    event->cpu = bpf_get_smp_processor_id();
    event->tid = thread;
    event->pid = thread >> 32;
    event->time = now;
    u32 marks0 = 0;
    bpf_get_current_comm(event->f_comm, sizeof(event->f_comm));
    event->f_mode = kept0;
    marks0 |= (u32)!!((kept_faults >> 0 & 1)) << 0;
    event->marks0 = marks0;
    bpf_ringbuf_submit(event, wake());
    return 0;
}
