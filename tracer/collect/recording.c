/* See recording.h. */
#include "collect/recording.h"

int recording_open(struct recording *recording, const char *path, uint32_t log_records, struct sentence *why)
{
    recording->kernel = NULL;
    int error = store_create(&recording->store, path, why);
    if (error)
        return error;
    clock_start(&recording->clock);
    error = session_make(&recording->session, log_records, recording->clock.first.tsc, why);
    if (error)
        store_discard(recording->store);
    else
        session_note_database(&recording->session, path);
    return error;
}

void recording_discard(struct recording *recording)
{
    kernel_close(recording->kernel);
    session_remove(&recording->session, NULL);
    session_close(&recording->session);
    store_discard(recording->store);
}

int recording_run(struct recording *recording, enum collect_verdict (*verdict)(void *arg), void *arg,
                  struct sentence *why)
{
    struct collect_job job = {.session = &recording->session,
                              .store = recording->store,
                              .clock = &recording->clock,
                              .kernel = recording->kernel,
                              .store_rows = COLLECT_WHEN_IDLE,
                              .state = "complete",
                              .verdict = verdict,
                              .arg = arg};
    int error = collect_run(&job, why);
    store_close(recording->store);
    return error;
}

void recording_raise_limit(struct rlimit *before)
{
    getrlimit(RLIMIT_NOFILE, before);
    struct rlimit raised = *before;
    raised.rlim_cur = raised.rlim_max;
    setrlimit(RLIMIT_NOFILE, &raised);
}
