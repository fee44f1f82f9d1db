/* holes: $map $frame $probe $add; a return: only that its call was open when the session ended */
        struct inflight_key open = {thread, $frame};
        if (!bpf_map_delete_elem(MAP($map), &open) && (counters = counters_at($probe))) {
            $add(after_end);
        }
