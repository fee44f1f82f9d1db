// Does what its input says, a line at a time, and answers each line with "ok".
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static long (*plug)(long, int);

static int next_line(char *line, int size)
{
    int have = 0; // byte by byte: what comes after is for a child, or for another program
    while (have < size - 1 && read(0, line + have, 1) == 1)
        if (line[have++] == '\n') {
            line[have - 1] = 0;
            return 1;
        }
    return 0;
}
static void answer(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        exit(1);
}
static void *execute(void *program)
{
    execl(program, program, "again", (char *)0);
    return 0;
}
int main(int argc, char **argv)
{
    char line[4096];
    if (argc > 1)
        answer("ok\n"); // to the exec
    while (next_line(line, sizeof(line))) {
        char *rest = strchr(line, ' ');
        if (rest)
            *rest++ = 0;
        if (!strcmp(line, "load")) {
            void *library = dlopen(rest, RTLD_NOW);
            if (library)
                plug = (long (*)(long, int))dlsym(library, "plug");
            if (!plug) {
                answer(dlerror());
                return 1;
            }
        }
        if (!strcmp(line, "call"))
            for (int i = 0; i < atoi(rest); i++)
                plug(1000 + i, -3);
        if (!strcmp(line, "exec"))
            execute(argv[0]);
        if (!strcmp(line, "thread-exec")) {
            pthread_t thread;
            pthread_create(&thread, 0, execute, argv[0]);
            pause();
        }
        if (!strcmp(line, "fork") && fork())
            wait(0); // the child goes on with the lines that come
        if (!strcmp(line, "quit"))
            return 0; // and the parent answers
        answer("ok\n");
    }
    return 0;
}
