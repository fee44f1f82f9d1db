/* holes: $map $choose (a bank, by the index: read once, so that all that follows is of one set) */
    void *parameters = MAP_VALUE($map);
$choose
