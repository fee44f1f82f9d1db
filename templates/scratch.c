/* holes: $struct $map; the kernel runs one program of this kind at a time on a CPU */
    u32 slot = 0;
    $struct *event = bpf_map_lookup_elem(MAP($map), &slot);
    if (!event) {
        return 0;
    }
