/*
 * What is traced. Modes:
 *   getppid           a system call that does next to nothing
 *   write SIZE        write(2) of a text of SIZE - 1 characters to no file
 *   read THREADS      read(2) of no file, while THREADS - 1 others wait in read(2)
 *   functions         100 functions, of which the last is called
 * Prints the address of work() once. For each line with a number on stdin it does so many, and
 * prints when it began (ns, CLOCK_MONOTONIC) and what one took (ns, the mean of those parts in which
 * the scheduler gave the processor to nobody else, which would say nothing of what is measured).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PROBED __attribute__((noinline, noclone, noipa))
#define ONE(n) PROBED int work##n(int x) { asm volatile("" : "+r"(x)); return x + n; }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) \
    ONE(n##8) ONE(n##9)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10)
PROBED int work(int x) { asm volatile("" : "+r"(x)); return x * 3; }

#define PART 64

static int ends[2];
static char text[1 << 16];

static void *wait_in_read(void *unused)
{
    char byte;
    read(ends[0], &byte, 1);
    return unused;
}

static long long now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static long preempted(void)
{
    struct rusage used;
    getrusage(RUSAGE_THREAD, &used);
    return used.ru_nivcsw;
}

static void repeat(char mode, long size, long count)
{
    for (long i = 0; i < count; i++) {
        if (mode == 'g')
            syscall(SYS_getppid);
        if (mode == 'w')
            syscall(SYS_write, -1, text, size);
        if (mode == 'r')
            syscall(SYS_read, -1, text, 0);
        if (mode == 'f')
            work109(i);
    }
}

int main(int argc, char **argv)
{
    static char line[64];
    char mode = argv[1][0];
    long size = argc > 2 ? atol(argv[2]) : 0;

    memset(text, 'x', sizeof(text) - 1);
    if (mode == 'w')
        text[size - 1] = 0;
    if (mode == 'r' && pipe(ends) == 0) {
        pthread_attr_t small;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, 65536);
        for (long i = 1; i < size; i++) {
            pthread_t thread;
            if (pthread_create(&thread, &small, wait_in_read, 0))
                return 2;
        }
    }
    printf("%p\n", (void *)work);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        long count = atol(line), counted = 0;
        long long start = now(), taken = 0, all;
        for (long done = 0; done < count; done += PART) {
            long part = count - done < PART ? count - done : PART;
            long switches = preempted();
            long long began = now();
            repeat(mode, size, part);
            long long ended = now();
            if (preempted() == switches) {
                counted += part;
                taken += ended - began;
            }
        }
        all = now() - start;
        printf("%lld %f\n", start, counted ? (double)taken / counted : (double)all / count);
        fflush(stdout);
    }
    return 0;
}
