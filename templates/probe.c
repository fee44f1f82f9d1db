/* holes: $name $context $body $here */
int $name($context)
{
    u64 thread = bpf_get_current_pid_tgid();
$here
$body
    return 0;
}
