/* Which signals have handlers of the program: those that Python calls. */
#ifndef SF_PY_TASK_HANDLERS_H
#define SF_PY_TASK_HANDLERS_H

#include <stdint.h>

int sf_handlers_init(void); /* looks up what is called later. 0, or -1 with an exception */

/* Their bits, for sf_signal_delay_begin. To ask Python takes far less time than to ask the kernel for the action of
 * each signal. Handlers that C code has set are not among them: these raise nothing. Runs no code of the program. */
uint64_t sf_handlers_bits(void);

#endif
