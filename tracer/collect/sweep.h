/* Clears away sessions that were never begun. */
#ifndef SF_TRACER_COLLECT_SWEEP_H
#define SF_TRACER_COLLECT_SWEEP_H

/* A collector that is killed between making its session's directory and telling what it is called leaves one that
 * nobody joins or looks for. Removes those in `parent`: with our pattern of a name, of this user and closed to
 * others, older than a minute, with nothing in it but, at most, a session file without its magic that nobody has
 * locked, and of a process that is no collector now. What cannot be removed stays, without a word: it does no harm
 * but to be there. */
void sweep_unbegun(const char *parent);

#endif
