/* Takes the place of kernel.c in a build without the kernel's view; the Makefile decides. */
#include "kernel/kernel.h"

#include <errno.h>

int kernel_open(struct kernel **out, struct store *store, const struct clock *clock, pid_t root, struct sentence *why)
{
    (void)store;
    (void)clock;
    (void)root;
    *out = NULL;
    return output_explain(
        why, -ENOSYS, "no kernel's view: when this was built, " KERNEL_MISSING " was missing (make deps installs it)");
}

double kernel_poll(struct kernel *kernel)
{
    (void)kernel;
    return 0;
}

size_t kernel_alive(const struct kernel *kernel)
{
    (void)kernel;
    return 0;
}

void kernel_close(struct kernel *kernel)
{
    (void)kernel;
}
