/* The kernel's side of the kernel's view: programs at tracepoints, which write records (kernel_record.h). There is one
 * header for each subject. The programs are attached in the order of their definitions. */
#include "kernel/kernel_interrupts.bpf.h"

#include "kernel/kernel_faults.bpf.h"
#include "kernel/kernel_slices.bpf.h"
#include "kernel/kernel_tree.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
