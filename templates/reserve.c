/* holes: $struct */
    $struct *event = bpf_ringbuf_reserve(EVENTS, sizeof(*event), 0);
    if (!event) {
        counters->lost++;
        return 0;
    }
