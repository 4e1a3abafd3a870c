/* The kernel's side of the kernel's view: one object of programs at tracepoints, in a part for each thing that they
 * tell of by records (kernel_record.h). Programs are attached in the order in which they stand. */
#include "kernel/kernel_interrupts.bpf.h"

#include "kernel/kernel_faults.bpf.h"
#include "kernel/kernel_slices.bpf.h"
#include "kernel/kernel_tree.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
