/* Sells things at two places, each with a marker, and tells how often the marker was wanted. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../marker.h"

#define PROBED __attribute__((noinline, noclone, noipa))

__attribute__((section(".probes"), used)) volatile unsigned short sold_semaphore;
long stock = 5000000000;

PROBED void sell(int number, long price, const char *what)
{
    MARKER("shop", "sold", "sold_semaphore", "-4@%0 8@%1 8@%2 -2@%3 8@stock(%%rip)", "r"(number),
           "r"(price), "r"(what), "i"(-7));
    stock++;
}

PROBED void sell_from_memory(int number, long price, const char *what)
{
    struct { int number; long price; const char *what; short rest[4]; } kept = {number, price, what, {0, 0, -7, 0}};
    long two = 2;
    asm volatile("" ::"r"(&kept) : "memory");
    MARKER("shop", "sold", "sold_semaphore",
           "-4@%0 8@%1 8@%2 -2@-4(%3,%4,4) 8@stock(%%rip)", "m"(kept.number), "m"(kept.price),
           "m"(kept.what), "r"(kept.rest), "r"(two));
    stock++;
}

PROBED void weigh(double weight, float share, int number)
{
    unsigned bits; /* compilers move floats to plain registers for a marker */
    memcpy(&bits, &share, sizeof(bits));
    asm volatile("" : "+m"(weight));
    MARKER("shop", "weighed", "0", "8f@%0 4f@%1 8f@%2 -4@%3", "m"(weight), "r"(bits), "x"(weight),
           "r"(number));
}

PROBED void close_shop(void) { MARKER("shop", "closed", "0", "", "i"(0)); }

int main(void)
{
    static const char *const names[] = {"", "an apple", "two pears"};
    unsigned asked[2];
    for (unsigned i = 0; i < 3; i++) /* a page that was never touched cannot be read by a probe */
        stock += *(const volatile char *)names[i] == 1;
    while (read(0, asked, sizeof(asked)) == sizeof(asked)) {
        for (unsigned i = 0; i < asked[1]; i++) {
            if (asked[0] == 's')
                sell(-5 - (int)i, 3000000000 + i, names[i % 3]);
            if (asked[0] == 'm')
                sell_from_memory(-5 - (int)i, 3000000000 + i, names[i % 3]);
            if (asked[0] == 'w')
                weigh(i / 8.0, -0.5f * i, -(int)i);
            if (asked[0] == 'c')
                close_shop();
        }
        if (write(1, (const void *)&sold_semaphore, 2) != 2)
            return 1;
    }
    return 0;
}
