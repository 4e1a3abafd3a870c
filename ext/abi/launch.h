/* What a program and the collector that it has started say to each other: snakefish.trace.start() and
 * `snakefish-trace serve`.
 *
 * The collector's standard output is one end of a socket, or a pipe. It writes lines to it:
 *
 *     session DIRECTORY     it has made its session, and waits for a byte if this is a socket
 *     done                  the database is complete and the session is removed; the end of the file follows
 *     error MESSAGE         it has given up; the end of the file follows
 *
 * The program writes one of these bytes into its end. CANCEL may come at any time before GO; then the collector removes
 * its session and what it has made of the database, and ends. */
#ifndef SF_ABI_LAUNCH_H
#define SF_ABI_LAUNCH_H

enum { SF_COLLECTOR_GO = 'g', SF_COLLECTOR_CANCEL = 'c' };

#endif
