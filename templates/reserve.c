/* holes: $struct $add */
    $struct *event = bpf_ringbuf_reserve(EVENTS, sizeof(*event), 0);
    if (!event) {
        $add(lost);
        return 0;
    }
