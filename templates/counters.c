/* holes: $probe $release */
    struct counters *counters = counters_of($probe);
    if (!counters) {
$release
        return 0;
    }
