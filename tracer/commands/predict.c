/* snakefish-trace predict: how long the run would take on other numbers of CPUs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/table.h"
#include "commands/commands.h"
#include "predict/ceiling.h"
#include "predict/prediction_table.h"
#include "store/database.h"

static const char usage[] =
    "usage: snakefish-trace predict [--cpus N,N,...] [--machine N] [--ceiling BENCH] [--json] [--store] FILE\n"
    "\n"
    "Says how long the traced run would take on other numbers of CPUs, what limits it there, and from how many CPUs "
    "on\n"
    "more do not help. Each map gets as many workers as there are CPUs, whatever it had, and so do imap, Executors "
    "and\n"
    "Pools of multiprocessing (instrumented); all else stays as it was.\n"
    "tracer/README.md says what that is based on, and how well it was tested.\n"
    "\n"
    "  seconds    from the first start of a process to the last end\n"
    "  low, high  the middle 95 % when the tasks' times are drawn anew, each from those of its map\n"
    "  speedup    against one CPU\n"
    "\n"
    "  --cpus N,N,...  numbers from 1 to 4096, at most 64; default 1,2,4,8,16,32,64\n"
    "  --machine N     there are only N CPUs: above that maps have more workers than there are CPUs\n"
    "  --ceiling BENCH a bench database, of the machine that is predicted for: tasks take longer where others work, "
    "by\n"
    "                  as much as its independent copies of programs do\n"
    "  --json          print one JSON object instead\n"
    "  --store         store it in the trace too, so that `snakefish-trace report` draws it; also on as many CPUs as "
    "the\n"
    "                  machine of the run had, four times as many, and as the maps had workers\n"
    "\n"
    "exit status  0; 1 FILE is no trace of this version, or of a run that cannot be predicted; 2 wrong usage\n"
    "example      snakefish-trace predict --cpus 4,16,64 run.db\n";

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Reads numbers with commas between them, sorted, each once. How many; 0: it is something else. */
static int read_cpus(int *cpus, const char *text)
{
    int count = 0, kept = 0;
    for (char *end;; text = end + 1) {
        long n = strtol(text, &end, 10);
        if (end == text || (*end && *end != ',') || n < 1 || n > PREDICT_CPUS_MOST || count == PREDICT_COUNT_MOST)
            return 0;
        cpus[count++] = (int)n;
        if (!*end)
            break;
    }
    qsort(cpus, (size_t)count, sizeof *cpus, by_number);
    for (int i = 0; i < count; i++)
        if (!kept || cpus[i] != cpus[kept - 1])
            cpus[kept++] = cpus[i];
    return kept;
}

static int print_text(sqlite3 *db, const struct predict *predict)
{
    if (!predict->maps)
        output_print("no map, imap, Executor or Pool was there: the processes are as many as they were, on each number "
                     "of CPUs\n");
    if (table_print(
            db, "prediction",
            "SELECT cpus, printf('%.6f', seconds) AS s, printf('%.6f', low) AS low, printf('%.6f', high) AS high, "
            "printf('%.2fx', speedup) AS speedup, printf('%.1f %%', 100 * efficiency) AS efficiency, \"limit\" "
            "FROM prediction ORDER BY cpus",
            PREDICT_COUNT_MOST) < 0)
        return -EIO;
    if (predict->enough < predict->predictions[predict->count - 1].cpus)
        output_print("\nmore than %d CPU%s do not help\n", predict->enough, predict->enough == 1 ? "" : "s");
    return 0;
}

static int print_json(sqlite3 *db, const struct predict *predict)
{
    output_print("{\"predictions\": ");
    int error = json_rows(
        stdout, db, "SELECT cpus, seconds, low, high, speedup, efficiency, \"limit\" FROM prediction ORDER BY cpus");
    output_print(",\n\"enough\": %d}\n", predict->enough);
    return error;
}

static int run(const char *path, struct predict *predicting, bool json, bool store, struct sentence *why)
{
    sqlite3 *db;
    struct sentence reason;
    int error = database_open(&db, path, why);
    if (error)
        return error;
    error = predict(predicting, db, &reason);
    if (!error && prediction_table_make(db, predicting))
        error = output_explain(&reason, -EIO, "%s", sqlite3_errmsg(db));
    if (!error && store)
        error = prediction_table_store(db, &reason);
    if (!error && (json ? print_json(db, predicting) : print_text(db, predicting)))
        error = output_explain(&reason, -EIO, "%s", sqlite3_errmsg(db));
    if (error)
        output_explain(why, error, "cannot predict from %s: %s", path, reason.text);
    sqlite3_close(db);
    return error;
}

int cmd_predict(int argc, char **argv)
{
    static const struct option options[] = {{"cpus", required_argument, NULL, 'c'},
                                            {"ceiling", required_argument, NULL, 'l'},
                                            {"machine", required_argument, NULL, 'm'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"store", no_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct command_line line = command_line(argc, argv, "+:h", options, usage);
    int asked[PREDICT_COUNT_MOST], machine[PREDICT_COUNT_MOST] = {0};
    struct predict predicting = {.cpus = predict_usual_cpus, .count = PREDICT_USUAL_COUNT};
    static double slowdowns[PREDICT_CPUS_MOST + 1];
    const char *path = NULL, *ceiling = NULL;
    struct sentence why;
    bool json = false, store = false;
    for (int next; (next = command_next(&line)) != COMMAND_END;) {
        if (next == 'j')
            json = true;
        else if (next == 's')
            store = true;
        else if (next == 'c' && !(predicting.count = read_cpus(asked, optarg)))
            return command_usage(usage,
                                 "--cpus needs numbers from 1 to %d with commas between them, at most %d, not %s",
                                 PREDICT_CPUS_MOST, PREDICT_COUNT_MOST, optarg);
        else if (next == 'c')
            predicting.cpus = asked;
        else if (next == 'l')
            ceiling = optarg;
        else if (next == 'm' && read_cpus(machine, optarg) != 1)
            return command_usage(usage, "--machine needs a number from 1 to %d, not %s", PREDICT_CPUS_MOST, optarg);
        else if (next == COMMAND_OPERAND && path)
            return command_usage(usage, "predict takes one trace, and %s is one too many", optarg);
        else if (next == COMMAND_OPERAND)
            path = optarg;
    }
    if (line.status != COMMAND_GO_ON)
        return line.status;
    if (!path)
        return command_usage(usage, "predict needs a trace");
    if (store && (ceiling || machine[0]))
        return command_usage(usage, "--store goes with neither --ceiling nor --machine: the report draws the run as "
                                    "it was");
    predicting.with_run = store;
    predicting.machine = machine[0];
    predicting.slowdowns = ceiling ? slowdowns : NULL;
    if ((ceiling && ceiling_read(slowdowns, PREDICT_CPUS_MOST, ceiling, &why)) ||
        run(path, &predicting, json, store, &why)) {
        output_note("%s", why.text);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}
