/* See entry.h. */
#include "collect/entry.h"

#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "sitecustomize.py"

/* From this program's directory: inside the package; a build; an environment that pip has installed into. */
static const char *const places[] = {
    "../entry",
    "../lib/snakefish/entry",
    "../lib/python3*/*-packages/snakefish/entry",
    "../lib/pypy3*/*-packages/snakefish/entry",
};

static bool is_trusted(const char *directory, const struct stat *program)
{
    char file[PATH_MAX + sizeof FILE_NAME + 1];
    struct stat st;
    snprintf(file, sizeof file, "%s/" FILE_NAME, directory);
    return stat(file, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == program->st_uid) &&
           !(st.st_mode & S_IWOTH);
}

bool entry_find(char path[PATH_MAX])
{
    char self[PATH_MAX], pattern[2 * PATH_MAX];
    struct stat program;
    bool found = false;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0 || stat("/proc/self/exe", &program))
        return false;
    self[n] = '\0';
    const char *directory = dirname(self);
    for (size_t i = 0; i < sizeof places / sizeof *places && !found; i++) {
        glob_t files;
        snprintf(pattern, sizeof pattern, "%s/%s", directory, places[i]);
        if (glob(pattern, 0, NULL, &files))
            continue;
        for (size_t k = 0; k < files.gl_pathc && !found; k++)
            /* ":" stands between two directories of PYTHONPATH, so it cannot be in one */
            found = is_trusted(files.gl_pathv[k], &program) && realpath(files.gl_pathv[k], path) && !strchr(path, ':');
        globfree(&files);
    }
    return found;
}

void entry_put(const char *path)
{
    const char *load = getenv(ENTRY_LOAD_ENV), *old = getenv("PYTHONPATH");
    char *value;
    if (load && strcmp(load, "no") == 0)
        return;
    /* "/" at the end says that it was empty: ":" would mean the current directory. ext/py/trace/programs.c describes
     * the form, and names all who write and read it. */
    const char *separator = !old ? "" : old[0] ? ":" : "/";
    if (asprintf(&value, "%s%s%s", path, separator, old ? old : "") < 0)
        return;
    setenv("PYTHONPATH", value, 1);
    free(value);
}
