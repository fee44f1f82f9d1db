// p:tmp open_it if name ~ "*/[a-c]?*"
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
    u64 text[128];
};

int p0_tmp(struct pt_regs *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    void *parameters = MAP_VALUE(2);
    parameters += *(volatile u64 *)parameters & 4096;
    u32 slot = 0;
    struct event0 *event = bpf_map_lookup_elem(MAP(3), &slot);
    if (!event) {
        return 0;
    }
    {
        long length1 = read_any_str(event->text, 1024, (u64)REGISTER(di));
        s64 states2 = PARAMETER(16, 0);
        u64 stars3 = PARAMETER(24, 0);
        for (u64 i = 0; i < 1024; i++) {
            asm volatile("" : "+r"(i));
            u64 byte = ((u8 *)event->text)[i];
            u64 hit = states2 & PARAMETER(32, byte);
            states2 = (hit << 1) | (hit & stars3);
            states2 |= (states2 & stars3) << 1;
            if (states2 <= 0) {
                break;
            }
        }
        if (!(length1 > 0 && states2 < 0)) {
            return 0;
        }
    }
    struct counters *counters = counters_of(0);
    if (!counters) {
        return 0;
    }
    COUNT(produced);
    u64 now = bpf_ktime_get_ns();
    event->time = now;
    u64 cpu4 = bpf_get_smp_processor_id();
    ((word *)event)[0] = cpu4 << 16 | 0;
    ((word *)event)[1] = thread;
    bpf_get_current_comm(event->f_comm, sizeof(event->f_comm));
    if (bpf_ringbuf_output(EVENTS, event, 40, wake(counters, 40))) {
        COUNT(lost);
    }
    return 0;
}
