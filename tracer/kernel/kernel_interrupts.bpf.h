/* Is an interrupt running on this CPU? Then what happens is not caused by the current task. */
#ifndef SF_TRACER_KERNEL_KERNEL_INTERRUPTS_BPF_H
#define SF_TRACER_KERNEL_KERNEL_INTERRUPTS_BPF_H

#include "kernel/kernel_maps.bpf.h"

static bool in_interrupt(void)
{
    struct kernel_cpu *c = this_cpu();
    return c && c->interrupts > 0;
}

static int step_interrupts(int by)
{
    struct kernel_cpu *c = this_cpu();
    if (c && (by > 0 || c->interrupts > 0))
        c->interrupts += by;
    return 0;
}

/* The ends come first, because programs are attached in this order: otherwise an interrupt whose beginning is counted
 * and whose end is not would count as running for ever. */
SEC("tp_btf/hrtimer_expire_exit")
int BPF_PROG(on_timer_end)
{
    return step_interrupts(-1);
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(on_soft_interrupt_end)
{
    return step_interrupts(-1);
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(on_interrupt_end)
{
    return step_interrupts(-1);
}

SEC("tp_btf/hrtimer_expire_entry")
int BPF_PROG(on_timer)
{
    return step_interrupts(1);
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(on_soft_interrupt)
{
    return step_interrupts(1);
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(on_interrupt)
{
    return step_interrupts(1);
}

#endif
