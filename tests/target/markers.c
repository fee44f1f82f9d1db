/* Markers: one at two places with a semaphore, one without. */
#include "../marker.h"

__attribute__((section(".probes"), used, visibility("hidden"))) unsigned short counted_semaphore;

int main(void)
{
    MARKER("shop", "sold", "counted_semaphore", "-4@%%eax 8@16(%%rsp)");
    MARKER("shop", "sold", "counted_semaphore", "-4@$5 8@%%rbx");
    MARKER("shop", "closed", "0", "");
    return 0;
}
