/* What the tests of the log share: a session as a collector would make it, and a reader of its logs. */
#ifndef SF_TESTS_CORE_LOG_LOG_SESSION_H
#define SF_TESTS_CORE_LOG_LOG_SESSION_H

#include "core/log/log.h"
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static char directory[256];

static inline void remove_session(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command))
        fprintf(stderr, "  cannot remove %s\n", directory);
}

/* Makes a session as a collector would. */
static inline struct sf_session_header *make_session(const char *where, uint32_t records)
{
    char path[300];
    snprintf(directory, sizeof directory, "%s/snakefish-test-XXXXXX", where);
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/" SF_SESSION_FILE, directory);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK_EQ(0, ftruncate(fd, 4096));
    struct sf_session_header *session = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    session->version = SF_ABI_VERSION;
    session->log_records = records;
    session->state = SF_SESSION_ACTIVE;
    session->magic = SF_SESSION_MAGIC;
    return session;
}

/* Maps the log of process pid. NULL: there is none, or it does not have its full length. */
static inline struct sf_log_header *open_log(pid_t pid, uint32_t records)
{
    char prefix[32], path[600] = "";
    snprintf(prefix, sizeof prefix, SF_LOG_PREFIX "%d.", (int)pid);
    DIR *open_directory = opendir(directory);
    for (struct dirent *entry; (entry = readdir(open_directory));)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    closedir(open_directory);
    int fd = open(path, O_RDWR);
    if (fd < 0)
        return NULL;
    struct stat st;
    if (fstat(fd, &st) || st.st_size != (off_t)(SF_LOG_RECORDS_OFFSET + records * sizeof(struct sf_record))) {
        close(fd);
        return NULL;
    }
    void *log = mmap(NULL, SF_LOG_RECORDS_OFFSET + records * sizeof(struct sf_record), PROT_READ | PROT_WRITE,
                     MAP_SHARED, fd, 0);
    close(fd);
    return log;
}

static inline struct sf_record *records_of(struct sf_log_header *log)
{
    return (struct sf_record *)((char *)log + SF_LOG_RECORDS_OFFSET);
}

static inline void mark(uint64_t a)
{
    sf_log_write(SF_EVENT_MARK, SF_PHASE_INSTANT, 1, a, ~a);
}

#endif
