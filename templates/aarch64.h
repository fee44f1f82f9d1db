/* holes: none. The head of struct pt_regs in arch/arm64/include/asm/ptrace.h. */
struct pt_regs {
    u64 regs[31], sp, pc, pstate, orig_x0;
};
