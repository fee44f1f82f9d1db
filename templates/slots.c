/* holes: $struct $map $slots $no_room; a program that can be preempted takes the first free slot */
    $struct *event = 0;
#pragma unroll
    for (u32 i = 0; i < $slots; i++) {
        if (!event) {
            u32 slot = i;
            $struct *free = bpf_map_lookup_elem(MAP($map), &slot);
            if (free) {
                __sync_fetch_and_add(&free->busy, 1);
                if (free->busy == 1) {
                    event = free;
                } else {
                    __sync_fetch_and_add(&free->busy, -1);
                }
            }
        }
    }
    if (!event) {
$no_room
        return 0;
    }
