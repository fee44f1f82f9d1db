/*
 * What stands before each program's text, for want of kernel headers.
 * holes: $registers (struct pt_regs of the processor)
 *
 * A program may call what stands here and nothing else. Numbers are those of enum bpf_func_id in
 * <linux/bpf.h>.
 */
#define BCC_SEC(name) __attribute__((section(name), used))
#define _LICENSE "GPL"
#define inlined static inline __attribute__((always_inline))

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef u64 __attribute__((may_alias)) word;

$registers

/* A map is named by its number; the loader puts the file descriptor there. */
u64 bpf_pseudo_fd(u64, u64) asm("llvm.bpf.pseudo");
#define MAP(number) ((void *)bpf_pseudo_fd(1, number))
#define MAP_VALUE(number) ((void *)bpf_pseudo_fd(2, number))

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static u64 (*bpf_get_smp_processor_id)(void) = (void *)8;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static u64 (*bpf_get_current_uid_gid)(void) = (void *)15;
static long (*bpf_get_current_comm)(void *text, u32 size) = (void *)16;
static long (*bpf_perf_event_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static u64 (*bpf_current_task_address)(void) = (void *)35; /* bpf_get_current_task */
static long (*bpf_get_stack)(void *ctx, void *to, u32 size, u64 flags) = (void *)67;
static u64 (*bpf_get_current_cgroup_id)(void) = (void *)80;
static long (*bpf_get_ns_current_pid_tgid)(u64 device, u64 inode, void *to, u32 size) = (void *)120;
static u64 (*bpf_get_attach_cookie)(void *ctx) = (void *)174;
/* Not with bpf_, as in <linux/bpf.h>: BCC has other names for those if it misses them in /proc/kallsyms. */
static long (*probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static long (*probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static long (*bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static void *(*bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;

/*
 * What the compiler knows of a number ends here. It would add small ones with |, of which the
 * verifier knows no more than which bits may be set: 64 | 17 could be 95.
 */
#define opaque(number) asm volatile("" : "+r"(number))

/*
 * Bound an unsigned number where the verifier can see it: the empty asm keeps the compiler from
 * computing the number again from something whose bounds it knows and the verifier does not.
 */
#define bound(number, most) \
    do { \
        opaque(number); \
        if (number > most) { \
            number = most; \
        } \
    } while (0)

/*
 * At the end of a block: the compiler must branch around it. Turned into two choices by the same
 * test, it would give the verifier of Linux 6.1 a path on which the test is true and false.
 */
#define branched() asm volatile("")

#define BPF_F_CURRENT_CPU 0xffffffffULL
#define BPF_F_USER_STACK 0x100
#define BPF_RB_NO_WAKEUP 1
#define BPF_RB_FORCE_WAKEUP 2
