/* holes: $name $context $add $map $probe $frame $kept_size $cleared $parameters $task_guards $keep $here */
int $name($context)
{
    u64 thread = bpf_get_current_pid_tgid();
$here
$parameters
$task_guards
    struct inflight_key key = {thread, $frame}; /* before any call, which these would outlive */
    struct counters *counters = counters_of($probe);
    if (!counters) {
        bpf_map_delete_elem(MAP($map), &key); /* of an earlier call, whose return was not seen */
        return 0;
    }
    u64 kept[$kept_size]$cleared;
$keep
    $add(entries);
    if (bpf_map_update_elem(MAP($map), &key, kept, 0)) {
        $add(inflight_full);
    }
    return 0;
}
