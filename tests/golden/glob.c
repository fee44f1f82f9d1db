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
    struct counters *counters = counters_of(0);
    if (!counters) {
        return 0;
    }
    u64 now = bpf_ktime_get_ns();
    u32 slot = 0;
    struct event0 *event = bpf_map_lookup_elem(MAP(2), &slot);
    if (!event) {
        return 0;
    }
    {
        long length1 = read_any_str(event->text, 1024, (u64)REGISTER(di));
        u64 none4 = thread >> 63;
        asm volatile("" : "+r"(none4));
        none4 *= 0x7fffffffffffffffULL;
        u64 states2 = none4 | 3;
        #pragma clang loop unroll(disable)
        for (u32 i = 0; i < 1024; i++) {
            u64 byte = ((u8 *)event->text)[i];
            if (!byte) {
                break;
            }
            asm volatile("" : "+r"(byte));
            u64 accepted = none4;
            u64 hit;
            hit = (((byte ^ 47) - 1) >> 63);
            asm volatile("" : "+r"(hit));
            accepted |= hit * 0x2ULL;
            hit = ((((byte - 97) | (99 - byte)) >> 63) ^ 1);
            asm volatile("" : "+r"(hit));
            accepted |= hit * 0x4ULL;
            hit = ((((byte - 1) | (255 - byte)) >> 63) ^ 1);
            asm volatile("" : "+r"(hit));
            accepted |= hit * 0x8ULL;
            states2 = ((states2 & accepted) << 1) | (states2 & 0x11ULL);
            states2 |= (states2 & 0x11ULL) << 1;
        }
        u8 fits3 = (states2 & 0x20ULL) != 0;
        if (!(length1 > 0 && fits3)) {
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
