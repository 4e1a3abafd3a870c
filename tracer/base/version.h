/* The program's version: what --version prints and each trace keeps in meta. */
#ifndef SF_TRACER_BASE_VERSION_H
#define SF_TRACER_BASE_VERSION_H

#define TRACER_VERSION "0.1.0"

#endif
