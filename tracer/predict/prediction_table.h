/* Predictions as rows of a table, to print them or to store them. */
#ifndef SF_TRACER_PREDICT_PREDICTION_TABLE_H
#define SF_TRACER_PREDICT_PREDICTION_TABLE_H

#include "predict/predict.h"

/* Makes the temporary table `prediction` of the connection, with the columns of the trace's own, which it hides. 0 or
 * -EIO; the connection has the reason. */
int prediction_table_make(sqlite3 *db, const struct predict *predict);

/* Puts its rows in place of those of the trace's table, all or none. 0, or -EIO with the reason. */
int prediction_table_store(sqlite3 *db, struct sentence *why);

#endif
