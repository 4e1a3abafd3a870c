/* Looks for each disease, puts what it found in order, and says the first three. */
#include "analyze/advice.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "analyze/advisor.h"
#include "analyze/diseases.h"
#include "store/inserts.h"

enum { SENTENCES = 3, DISEASES_MAX = 32 };

#define WORTH_TELLING 1.1 /* times as fast */

/* A cure seldom costs nothing: so much of what a replay saves is promised. */
#define KEPT 0.85

#define WORTH_PROMISING 1.1 /* less is said as 1.0x */

static double weight_of(const struct finding *finding)
{
    return finding->weight > 0 ? finding->weight : finding->speedup;
}

static bool is_worth_telling(const struct finding *finding)
{
    return finding->speedup > 0 && weight_of(finding) >= WORTH_TELLING;
}

/* As it is printed: rounded down, because it is a bound. 0: none. */
static double promise_of(const struct finding *finding)
{
    if (!(finding->at_least > 1))
        return 0;
    double gain = floor(10 / (1 - KEPT * (1 - 1 / finding->at_least))) / 10;
    return gain >= WORTH_PROMISING ? gain : 0;
}

static void tell(struct inserts *inserts, int rank, const char *disease, const struct finding *finding)
{
    char sentence[640];
    double gain = promise_of(finding);
    int n = snprintf(sentence, sizeof sentence, "%s: %s", finding->what, finding->cure);
    if (gain > 0 && n > 0 && (size_t)n < sizeof sentence)
        snprintf(sentence + n, sizeof sentence - (size_t)n, ": at least %.1fx", gain);
    inserts_row(inserts, "issr", (int64_t)rank, disease, sentence, gain > 0 ? gain : NAN);
}

/* Nothing stands out: how much of what the CPUs could do the program's own work was. Or most of what looks like its
 * work was on no CPU, and the trace cannot say why. */
static void tell_health(struct inserts *inserts, const struct advisor *advisor)
{
    char sentence[512], function[160];
    double could_ns = (double)advisor->cpus * advisor->base_ns;
    if (advisor->cpu_share < 0.5)
        snprintf(
            sentence, sizeof sentence,
            "what looks like work was on no CPU for %.0f %% of its time: it slept, waited where no event says so, or "
            "other programs had the CPUs: record --kernel tells which",
            (1 - advisor->cpu_share) * 100);
    else
        snprintf(sentence, sizeof sentence,
                 "nothing stands out: the program's own work is %.0f %% of what %d CPU%s can do in this time%s",
                 could_ns > 0 ? advisor->load.useful_ns / could_ns * 100 : 0, advisor->cpus,
                 advisor->cpus == 1 ? "" : "s", advisor_function(advisor, PROCESS_NONE, function, sizeof function));
    inserts_row(inserts, "issr", (int64_t)1, advisor->cpu_share < 0.5 ? "no cpu" : "none", sentence, NAN);
}

/* Others on the machine took the CPUs, while the program had no more processes than there are. */
static void tell_of_others(struct inserts *inserts, const struct advisor *advisor, int rank)
{
    char sentence[256];
    double lost =
        advisor->base_ns > 0 ? 1 - advisor->base_ns / (double)(advisor->graph->to_ns - advisor->graph->from_ns) : 0;
    if (!advisor->graph->knows_no_cpu || advisor->load.at_once > advisor->cpus || lost < 0.25)
        return;
    snprintf(sentence, sizeof sentence,
             "other programs had the CPUs for %.0f %% of the time: record again while nothing else runs", lost * 100);
    inserts_row(inserts, "isso", (int64_t)rank, "other programs", sentence, (int64_t)0);
}

static void write_sentences(struct inserts *inserts, const struct advisor *advisor, const struct finding *findings)
{
    unsigned done = 0; /* told, or covered by what was told */
    int rank = 0;
    while (rank < SENTENCES) {
        size_t best = disease_count;
        for (size_t i = 0; i < disease_count; i++)
            if (!(done & 1u << i) && is_worth_telling(&findings[i]) &&
                (best == disease_count || weight_of(&findings[i]) > weight_of(&findings[best])))
                best = i;
        if (best == disease_count)
            break;
        tell(inserts, ++rank, diseases[best].name, &findings[best]);
        done |= 1u << best | diseases[best].covers;
    }
    if (!rank)
        tell_health(inserts, advisor), rank++;
    if (rank < SENTENCES)
        tell_of_others(inserts, advisor, rank + 1);
}

int advice_fill(sqlite3 *db, const struct graph *graph)
{
    struct advisor advisor;
    struct finding findings[DISEASES_MAX] = {{0}};
    struct inserts inserts;
    int error = advisor_init(&advisor, db, graph);
    if (!error) {
        for (size_t i = 0; i < disease_count; i++)
            diseases[i].look_for(&advisor, &findings[i]);
        inserts_open(&inserts, db, "INSERT INTO advice VALUES(?, ?, ?, ?)");
        write_sentences(&inserts, &advisor, findings);
        error = inserts_close(&inserts);
    }
    advisor_fini(&advisor);
    return error;
}
