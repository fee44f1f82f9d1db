/* holes: $name $context $body */
int $name($context)
{
    u64 thread = bpf_get_current_pid_tgid();
$body
    return 0;
}
