/* holes: $name $context $probe $parameters $task_guards $paired $guards $place $captures $marks $send */
int $name($context)
{
    u64 thread = bpf_get_current_pid_tgid();
$parameters
$task_guards
    struct counters *counters = counters_of($probe);
    if (!counters) {
        return 0;
    }
    u64 now = bpf_ktime_get_ns();
$paired
$guards
    counters->produced++;
$place
    event->probe = $probe;
    event->cpu = bpf_get_smp_processor_id();
    event->tid = thread;
    event->pid = thread >> 32;
    event->time = now;
$captures
$marks
$send
    return 0;
}
