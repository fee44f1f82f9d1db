/* holes: $name $context $parameters $body */
int $name($context)
{
    u64 thread = bpf_get_current_pid_tgid();
$parameters
$body
    return 0;
}
