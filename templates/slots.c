/* holes: $struct $map $slots $count; a program that can be preempted takes the first free slot */
    $struct *event = 0;
#pragma unroll
    for (u32 i = 0; i < $slots; i++) {
        u32 slot = i;
        $struct *free = bpf_map_lookup_elem(MAP($map), &slot);
        if (free && !event) {
            __sync_fetch_and_add(&free->busy, 1);
            if (free->busy == 1) {
                event = free;
            } else {
                __sync_fetch_and_add(&free->busy, -1);
            }
        }
    }
    if (!event) {
$count
        counters->lost++;
        return 0;
    }
