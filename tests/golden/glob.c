// p:tmp open_it if name ~ "*/[a-c]?*"
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
    u64 text[128];
};

int p0_tmp(struct pt_regs *ctx)
{
    u64 thread = bpf_get_current_pid_tgid();
    void *parameters = MAP_VALUE(2);
    parameters += *(volatile u64 *)parameters & 4096;
    struct counters *counters = counters_of(0);
    if (!counters) {
        return 0;
    }
    u64 now = bpf_ktime_get_ns();
    u32 slot = 0;
    struct event0 *event = bpf_map_lookup_elem(MAP(3), &slot);
    if (!event) {
        return 0;
    }
    {
        long length1 = read_any_str(event->text, 1024, (u64)REGISTER(di));
        s64 states2 = PARAMETER(8, 0);
        u64 stars3 = PARAMETER(16, 0);
        #pragma clang loop unroll(disable)
        for (u32 i = 0; i < 1024; i++) {
            u64 byte = ((u8 *)event->text)[i];
            u64 hit = states2 & PARAMETER(24, byte);
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
    counters->produced++;
    event->probe = 0;
    event->cpu = bpf_get_smp_processor_id();
    event->tid = thread;
    event->pid = thread >> 32;
    event->time = now;
    u32 marks0 = 0;
    bpf_get_current_comm(event->f_comm, sizeof(event->f_comm));
    event->marks0 = marks0;
    if (bpf_ringbuf_output(EVENTS, event, 40, wake())) {
        counters->lost++;
    }
    return 0;
}
