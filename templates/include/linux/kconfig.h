/*
 * The one header that BCC includes, in the place where it looks for a kernel's own.
 *
 * The guards keep BCC's 3,000 lines of helpers out. Everything else comes with the text.
 */
#define __BPF_HELPERS_H
#define _UAPI__LINUX_BPF_H__
#define __LINUX_BPF_H__
