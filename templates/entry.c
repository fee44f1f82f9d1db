/* holes: $name $context $map $probe $frame $kept_size $parameters $task_guards $keep */
int $name($context)
{
    u64 thread = bpf_get_current_pid_tgid();
$parameters
$task_guards
    struct counters *counters = counters_of($probe);
    if (!counters) {
        return 0;
    }
    struct inflight_key key = {};
    key.thread = thread;
    key.frame = $frame;
    u64 kept[$kept_size] = {};
$keep
    counters->entries++;
    if (bpf_map_update_elem(MAP($map), &key, kept, 0)) {
        counters->inflight_full++;
    }
    return 0;
}
