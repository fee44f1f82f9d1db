/* holes: $map (the parameters) $device $inode (the numbers of two slots there) */
/* Process and thread as that namespace counts them, as one number; 0 for those of another namespace. */
inlined u64 thread_in_namespace(void)
{
    u64 *parameters = MAP_VALUE($map);
    u64 here;
    bpf_get_ns_current_pid_tgid(parameters[$device], parameters[$inode], &here, sizeof(here));
    return here;
}
