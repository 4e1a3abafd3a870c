/* Whether any process can still write a file: whether the kernel grants a write lease on it, for it grants none while
 * the file is open elsewhere, or mapped from a descriptor that was open for writing. That holds across pid namespaces.
 */
#ifndef SF_TRACER_BASE_LEASE_H
#define SF_TRACER_BASE_LEASE_H

enum lease {
    LEASE_FREE,   /* this process alone has it open, by this descriptor */
    LEASE_HELD,   /* somebody else has it open or mapped */
    LEASE_UNKNOWN /* the system has no leases, or the file is another user's */
};

/* Takes the lease and gives it back at once. `fd`: this process's only descriptor of the file. Two system calls. A
 * process that opens the file in between waits for some microseconds. */
enum lease lease_look(int fd);

#endif
