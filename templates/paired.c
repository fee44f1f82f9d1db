/* holes: $map $frame $copy $add; stands at the head of a return probe that has an entry */
    struct inflight_key key = {thread, $frame};
    u64 *kept = bpf_map_lookup_elem(MAP($map), &key);
    if (!kept) {
        $add(unmatched);
        return 0;
    }
$copy
    bpf_map_delete_elem(MAP($map), &key);
