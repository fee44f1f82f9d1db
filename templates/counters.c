/* holes: $probe $leaving (C for a hit that is not counted, since the session has ended) */
    struct counters *counters = counters_of($probe);
    if (!counters) {
$leaving
        return 0;
    }
