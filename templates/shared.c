/* holes: $counters (members of struct counters) $parameters (a map) $keys (an offset in it) $wake $namespace */
#define EVENTS MAP(0)
#define COUNTERS MAP(1)

struct counters {
$counters
};

struct inflight_key {
    u64 thread;
    u64 frame;
};

/*
 * A number of 8, 16, 32 or 64 bits in what the program is handed. The verifier wants the offset in the
 * instruction itself; a compiler that sees the same one twice would compute the address only once.
 */
#define IN_CONTEXT(bits, offset) ({ \
        u64 in_context; \
        asm("%0 = *(u" #bits " *)(%1 + %2)" : "=r"(in_context) : "r"(ctx), "i"(offset)); \
        in_context; \
    })
#define REGISTER(name) IN_CONTEXT(64, __builtin_offsetof(struct pt_regs, name))

/* A u64 of what the program is handed, and the ones behind it by their number. */
#define PARAMETER(offset, number) (((u64 *)(parameters + offset))[number])

/* Of unsigned numbers, the second of which may be 0: the quotient is 0 then, as in BPF. */
#define QUOTIENT(number, by) ({ \
        u64 quotient = number; \
        asm("%0 /= %1" : "+r"(quotient) : "r"((u64)(by))); \
        quotient; \
    })
#define REMAINDER(number, by) ({ \
        u64 whole = number, part = by; \
        whole - QUOTIENT(whole, part) * part; \
    })

#define COUNT(what) counters->what++
/* For a program that another of its CPU can preempt: those on functions of user space. */
#define COUNT_AS_ONE(what) __sync_fetch_and_add(&counters->what, 1)

/* Not there once the session has ended: by its key, which is handed to the program then as another. */
inlined struct counters *counters_of(u32 probe)
{
    return bpf_map_lookup_elem(COUNTERS, MAP_VALUE($parameters) + $keys + 8 * probe);
}

/* There to the last. */
inlined struct counters *counters_at(u32 probe)
{
    return bpf_map_lookup_elem(COUNTERS, &probe);
}

$wake

$namespace

/* Memory of the user or of the kernel, as its address tells. */
inlined long read_any(void *to, u32 size, u64 from)
{
    if ((s64)from < 0) {
        return probe_read_kernel(to, size, (void *)from);
    }
    return probe_read_user(to, size, (void *)from);
}

/* The length with the NUL, or below 0. Of an empty string old kernels (6.1) say 0, and new ones 1. */
inlined long read_user_str(void *to, u32 size, u64 from)
{
    long length = probe_read_user_str(to, size, (void *)from);

    /* In C, all that follows would be written twice. */
    asm volatile("if %0 != 0 goto +1; %0 = 1" : "+r"(length));
    return length;
}

/* A string that is in user memory or in the kernel's, as its address tells. */
inlined long read_any_str(void *to, u32 size, u64 from)
{
    if ((s64)from < 0) {
        return probe_read_kernel_str(to, size, (void *)from);
    }
    return read_user_str(to, size, from);
}
