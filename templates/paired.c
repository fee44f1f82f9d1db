/* holes: $map $frame $copy; stands at the head of a return probe that has an entry */
    struct inflight_key key = {};
    key.thread = thread;
    key.frame = $frame;
    u64 *kept = bpf_map_lookup_elem(MAP($map), &key);
    if (!kept) {
        counters->unmatched++;
        return 0;
    }
    counters->returns++;
$copy
    bpf_map_delete_elem(MAP($map), &key);
