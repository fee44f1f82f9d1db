/* Markers as <sys/sdt.h> writes them, without it: one at two places with a semaphore, one without. */
#define NOTE(provider, name, semaphore, arguments) \
    asm volatile("990: nop\n" \
                 ".pushsection .note.stapsdt,\"?\",\"note\"\n" \
                 ".balign 4\n" \
                 ".4byte 992f-991f, 994f-993f, 3\n" \
                 "991: .asciz \"stapsdt\"\n" \
                 "992: .balign 4\n" \
                 "993: .8byte 990b, _.stapsdt.base, " semaphore "\n" \
                 ".asciz \"" provider "\"\n" \
                 ".asciz \"" name "\"\n" \
                 ".asciz \"" arguments "\"\n" \
                 "994: .balign 4\n" \
                 ".popsection\n")

asm(".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
    ".weak _.stapsdt.base\n"
    ".hidden _.stapsdt.base\n"
    "_.stapsdt.base: .space 1\n"
    ".size _.stapsdt.base, 1\n"
    ".popsection\n");

__attribute__((section(".probes"), used, visibility("hidden"))) unsigned short counted_semaphore;

int main(void)
{
    NOTE("shop", "sold", "counted_semaphore", "-4@%eax 8@16(%rsp)");
    NOTE("shop", "sold", "counted_semaphore", "-4@$5 8@%rbx");
    NOTE("shop", "closed", "0", "");
    return 0;
}
