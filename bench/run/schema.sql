-- The bench database, schema version 5 (PRAGMA user_version). Written by `python3 -m bench run`; read by anybody.
--
-- Numbers ending in _ns are nanoseconds. A value that nobody could find out is NULL, in `machine` the word
-- 'unknown'; neither means zero. One file holds many sessions; a row belongs to one of them.
-- Versions 2 to 4 had all samples; readers of the bench convert them.

PRAGMA application_id = 0x534e4b42; -- "SNKB": only such a file is ever written to
PRAGMA user_version = 5;

-- One row per `bench run`, and per `bench counts`, which has no samples and fills instruction_count. started, finished: UTC, ISO
-- 8601; finished is NULL while it runs and when it was killed.
-- status: running | complete | interrupted | failed (could not go on: a full disk). seed: of the order of the samples.
-- blocks: how many were planned; samples: how many samples that makes. limit_s: when a sample is ended. memory: whether
-- the pass that fills the table `memory` is part of it; trace: the file of the traced run, NULL where there is none. margin: a
-- ratio nearer to 1 than this makes no practical difference.
CREATE TABLE session(
  id INTEGER PRIMARY KEY, started TEXT NOT NULL, finished TEXT, status TEXT NOT NULL, command TEXT NOT NULL,
  seed INTEGER NOT NULL, blocks INTEGER NOT NULL, samples INTEGER NOT NULL, limit_s REAL NOT NULL,
  memory INTEGER NOT NULL, trace TEXT, margin REAL NOT NULL DEFAULT 0.03);

-- The machine and the build, one fact a row: bench/run/machine.py says what each key means. value: text or a number.
CREATE TABLE machine(
  session INTEGER NOT NULL REFERENCES session(id), key TEXT NOT NULL, value NOT NULL,
  PRIMARY KEY(session, key)) WITHOUT ROWID;

-- What was run. kind: program | micro. unit: what `size` counts. operation: what one of sample.operations is.
-- output_source: where the right output comes from, published (stated with the workload) or sequential (computed by
-- the sequential runtime at the session's start), NULL until that is known. output_sha256 is NULL when the computation
-- failed.
CREATE TABLE workload(
  session INTEGER NOT NULL REFERENCES session(id), name TEXT NOT NULL, size INTEGER NOT NULL, kind TEXT NOT NULL,
  unit TEXT NOT NULL, operation TEXT NOT NULL, doc TEXT NOT NULL, output_source TEXT, output_sha256 TEXT,
  PRIMARY KEY(session, name, size)) WITHOUT ROWID;

-- What ran it. status: present | absent, with the reason why. version: of the library behind it.
CREATE TABLE runtime(
  session INTEGER NOT NULL REFERENCES session(id), name TEXT NOT NULL, status TEXT NOT NULL, reason TEXT,
  version TEXT, doc TEXT NOT NULL, PRIMARY KEY(session, name)) WITHOUT ROWID;

-- What every block holds: planned, not yet run. series:
--   strong  the workload keeps its size, the workers change; micro-benchmarks are in it too
--   weak    the size grows with the workers, so that each has as much to do; both: in both of these series
--   sweep   a micro-benchmark in several sizes, one series
-- work: how much there is to do at this size, as a multiple of the size in the strong series. blocks: it is in so many, from
-- the first on; NULL: in all.
CREATE TABLE cell(
  session INTEGER NOT NULL REFERENCES session(id), workload TEXT NOT NULL, size INTEGER NOT NULL, runtime TEXT NOT NULL,
  workers INTEGER NOT NULL, series TEXT NOT NULL, work REAL NOT NULL, blocks INTEGER,
  PRIMARY KEY(session, workload, size, runtime, workers),
  FOREIGN KEY(session, workload, size) REFERENCES workload(session, name, size),
  FOREIGN KEY(session, runtime) REFERENCES runtime(session, name)) WITHOUT ROWID;

-- One row per fresh interpreter process, committed when that process has ended. A block holds every combination of
-- workload, size, runtime and workers once, in random order, but for one workload's runtimes at one number of workers, which
-- are next to each other: position is the place in it. Blocks and positions start at 0. Compare runtimes within a block, never
-- across. workers is 1 for the sequential runtime; for kind 'micro' it is 1,
-- or the CPUs where the operation is a parallel map.
--
-- status, output_ok:
--   ok       1     the output is right
--   wrong    0     it is not: the times do not count
--   unchecked NULL nobody knows the right output: see workload.output_sha256
--   crash    NULL  the process was killed or ended with a failure; error: the last line it wrote, or the signal
--   timeout  NULL  it had not ended at its limit and was killed
--   skipped  NULL  not run, because the same combination timed out in an earlier block
--
-- Three times, kept apart:
--   wall_ns    from the start of the interpreter to its exit, seen from outside
--   run_ns     inside: from the import of runtime and workload to the complete output, without the making of an input
--              file; import_ns of it importing
--   region_ns  the parallel region: from the runtime's first fork (a pool's creation and its end included) to the
--              last result. The time of one operation is region_ns / operations; operations is 1 for a program.
--              The runtime 'ceiling' runs as many independent copies of the sequential program as there are workers:
--              operations counts them, so that its region_ns / operations is what perfect scaling would take here.
--              The runtime 'floor' measures what the machine alone needs, by each micro-benchmark's own definition.
-- floor_ns: that floor for all operations of this sample, where it is measured in the sample itself, by turns with them.
--
-- user_ns to involuntary_switches are those of the process and all its descendants that were waited for (wait4).
-- start_ns: since the session started; load1: the machine's load average just before the sample. What disturbed the
-- machine while it ran: steal_ns of all CPUs taken by the hypervisor, pressure_ns in which something waited for a CPU,
-- throttled_ns in which the cgroup was over its quota, thermal_throttles: how often a core was slowed down by its heat.
CREATE TABLE sample(
  id INTEGER PRIMARY KEY,
  session INTEGER NOT NULL REFERENCES session(id), block INTEGER NOT NULL, position INTEGER NOT NULL,
  workload TEXT NOT NULL, size INTEGER NOT NULL, runtime TEXT NOT NULL, workers INTEGER NOT NULL,
  status TEXT NOT NULL, exit_status INTEGER, error TEXT,
  start_ns INTEGER, wall_ns INTEGER, run_ns INTEGER, import_ns INTEGER, region_ns INTEGER, operations INTEGER,
  floor_ns INTEGER,
  output_ok INTEGER, output_bytes INTEGER, output_sha256 TEXT,
  user_ns INTEGER, system_ns INTEGER, minor_faults INTEGER, major_faults INTEGER,
  voluntary_switches INTEGER, involuntary_switches INTEGER, load1 REAL,
  steal_ns INTEGER, pressure_ns INTEGER, throttled_ns INTEGER, thermal_throttles INTEGER,
  UNIQUE(session, block, workload, size, runtime, workers),
  FOREIGN KEY(session, workload, size, runtime, workers) REFERENCES cell(session, workload, size, runtime, workers));

-- Memory, from an extra run of each cell after the blocks, whose times do not count because the readings disturb them.
-- A cell that timed out in a block has none. peak_pss_bytes: the most that the process and its descendants held at one
-- time, each shared page divided among the processes that map it; NULL where that run failed or was wrong. readings: how
-- many there were; processes: the most at one time.
CREATE TABLE memory(
  session INTEGER NOT NULL REFERENCES session(id), workload TEXT NOT NULL, size INTEGER NOT NULL, runtime TEXT NOT NULL,
  workers INTEGER NOT NULL, peak_pss_bytes INTEGER, processes INTEGER, readings INTEGER NOT NULL,
  PRIMARY KEY(session, workload, size, runtime, workers)) WITHOUT ROWID;

-- How many instructions a cell takes, counted several times: run 0, 1, ... `bench counts` writes them. tool: what counted. Counted
-- are the region's instructions in user space of the process and its forks, without those in which the library waits.
-- processes: how many these were. own_instructions: those of them that are in the extension's own code. Runs differ a little
-- where processes meet: the least is the one that did so without detours.
CREATE TABLE instruction_count(
  session INTEGER NOT NULL REFERENCES session(id), workload TEXT NOT NULL, size INTEGER NOT NULL, runtime TEXT NOT NULL,
  workers INTEGER NOT NULL, run INTEGER NOT NULL, tool TEXT NOT NULL, processes INTEGER NOT NULL,
  instructions INTEGER NOT NULL, own_instructions INTEGER NOT NULL,
  PRIMARY KEY(session, workload, size, runtime, workers, run),
  FOREIGN KEY(session, workload, size, runtime, workers) REFERENCES cell(session, workload, size, runtime, workers)) WITHOUT ROWID;

-- Warnings that a reader must know before the results, with what to do about them: written at the session's end.
CREATE TABLE warning(session INTEGER NOT NULL REFERENCES session(id), text TEXT NOT NULL);

-- What may be compared: right answers only, with the time of one operation.
CREATE VIEW measurement AS
  SELECT s.session, w.kind, c.series, c.work, s.workload, s.size, s.runtime, s.workers, s.block, s.wall_ns, s.run_ns,
         s.region_ns, s.operations, CAST(s.region_ns AS REAL) / s.operations AS operation_ns,
         CAST(s.floor_ns AS REAL) / s.operations AS floor_ns
  FROM sample s
  JOIN workload w ON w.session = s.session AND w.name = s.workload AND w.size = s.size
  JOIN cell c ON c.session = s.session AND c.workload = s.workload AND c.size = s.size AND c.runtime = s.runtime
    AND c.workers = s.workers
  WHERE s.output_ok = 1;

-- Results: what the samples say. bench/results computes these tables from the rows above, at the end of a run and again
-- for a reader where they are missing or of other samples. Nobody else computes them: `bench show` prints them, the
-- report draws them. bench/results/statistics.py defines each number.
--
-- All ratios are "times as fast": the base's time over the runtime's, so that above 1 the runtime is the faster one.
-- low, high: the bounds of an interval, NULL where there are fewer blocks than computed.fewest_blocks. blocks: how many
-- there are with all that the row compares.

-- What the results of a session were computed from, and how. method: the version of the definitions; inputs_sha256: of the
-- right samples, the margin and the targets; samples: how many the session had. level: of the intervals and of the verdicts of
-- a family; power: with which `detectable` is found. resamples: of whole blocks, for the medians' intervals. practical_margin:
-- the session's.
CREATE TABLE computed(
  session INTEGER PRIMARY KEY REFERENCES session(id), method INTEGER NOT NULL, inputs_sha256 TEXT NOT NULL,
  samples INTEGER NOT NULL, level REAL NOT NULL, resamples INTEGER NOT NULL, fewest_blocks INTEGER NOT NULL,
  power REAL NOT NULL, practical_margin REAL NOT NULL);

-- The time of one operation of each cell: the median over the blocks, with its interval, the mean, and the least. A floor that
-- is measured within the samples of snakefish has a row as runtime 'floor'. A floor is the least of its samples: see
-- target.is_floor.
CREATE TABLE estimate(
  session INTEGER NOT NULL REFERENCES session(id), workload TEXT NOT NULL, size INTEGER NOT NULL, runtime TEXT NOT NULL,
  workers INTEGER NOT NULL, blocks INTEGER NOT NULL, median_ns REAL NOT NULL, low_ns REAL, high_ns REAL,
  mean_ns REAL NOT NULL, least_ns REAL NOT NULL, PRIMARY KEY(session, workload, size, runtime, workers)) WITHOUT ROWID;

-- Of each kind (program | micro) the A/A control, which is snakefish against itself (snakefish-again): how many comparisons it
-- made, the largest distance of one from 1 (NULL without any), and how many of them would have been called faster or slower
-- (`different`): with a share of 1 - level of all sessions there is one. margin: the session's.
CREATE TABLE noise(
  session INTEGER NOT NULL REFERENCES session(id), kind TEXT NOT NULL, comparisons INTEGER NOT NULL, largest REAL,
  different INTEGER NOT NULL, margin REAL NOT NULL, PRIMARY KEY(session, kind)) WITHOUT ROWID;

-- How many times as fast `runtime` with so many workers is as `base` with so many base_workers, at the same workload and
-- size. time_ns, base_ns: their geometric means over the common blocks. p: two-sided, of the ratio being 1, not adjusted for
-- the number of comparisons.
--
-- verdict: of snakefish and snakefish-executor against the fastest of the other libraries, with one worker and with as many as
-- there are CPUs. family: how many such comparisons of this kind there are. NULL for all else. It is
--   no practical difference   the whole interval is within 1 / (1 + margin) and 1 + margin
--   faster | slower           else, where it is significant among the family (Holm)
--   inconclusive              else
-- detectable: a difference of so much (0.09: 9 %) would have been found with a probability of computed.power; of what has no
-- verdict, alone. more_blocks: of what is inconclusive, how many more would decide it with that probability, if it is as it
-- looks.
CREATE TABLE comparison(
  session INTEGER NOT NULL REFERENCES session(id), kind TEXT NOT NULL, runtime TEXT NOT NULL, base TEXT NOT NULL,
  workload TEXT NOT NULL, size INTEGER NOT NULL, workers INTEGER NOT NULL, base_workers INTEGER NOT NULL,
  blocks INTEGER NOT NULL, time_ns REAL NOT NULL, base_ns REAL NOT NULL, times_as_fast REAL NOT NULL, low REAL, high REAL,
  p REAL, margin REAL NOT NULL, verdict TEXT, family INTEGER, detectable REAL, more_blocks INTEGER,
  PRIMARY KEY(session, runtime, base, workload, size, workers)) WITHOUT ROWID;

-- The geometric mean of times_as_fast over all programs at one number of workers, or at all of them (workers is NULL).
CREATE TABLE overall(
  session INTEGER NOT NULL REFERENCES session(id), runtime TEXT NOT NULL, base TEXT NOT NULL, workers INTEGER,
  comparisons INTEGER NOT NULL, blocks INTEGER NOT NULL, times_as_fast REAL NOT NULL, low REAL, high REAL,
  UNIQUE(session, runtime, base, workers));

-- Of each program: the time of the sequential runtime over the runtime's (low and high are the interval of that), and
-- efficiency, which is the speedup over the workers.
CREATE TABLE speedup(
  session INTEGER NOT NULL REFERENCES session(id), workload TEXT NOT NULL, size INTEGER NOT NULL, runtime TEXT NOT NULL,
  workers INTEGER NOT NULL, blocks INTEGER NOT NULL, base_ns REAL NOT NULL, time_ns REAL NOT NULL, speedup REAL NOT NULL,
  low REAL, high REAL, efficiency REAL NOT NULL, efficiency_low REAL, efficiency_high REAL,
  PRIMARY KEY(session, workload, size, runtime, workers)) WITHOUT ROWID;

-- Efficiency in the weak series: the sequential time of one share of the work over the time of all shares, one a worker.
CREATE TABLE weak_scaling(
  session INTEGER NOT NULL REFERENCES session(id), workload TEXT NOT NULL, runtime TEXT NOT NULL, workers INTEGER NOT NULL,
  size INTEGER NOT NULL, blocks INTEGER NOT NULL, efficiency REAL NOT NULL, low REAL, high REAL,
  PRIMARY KEY(session, workload, runtime, workers)) WITHOUT ROWID;

-- Of each sweep: the size from which on the runtime is faster than the sequential one. 0: at every size from the
-- smallest; infinity (9e999): not even at the largest.
CREATE TABLE break_even(
  session INTEGER NOT NULL REFERENCES session(id), workload TEXT NOT NULL, runtime TEXT NOT NULL, workers INTEGER NOT NULL,
  blocks INTEGER NOT NULL, smallest INTEGER NOT NULL, largest INTEGER NOT NULL, size REAL NOT NULL, low REAL, high REAL,
  PRIMARY KEY(session, workload, runtime, workers)) WITHOUT ROWID;

-- Of each micro-benchmark: how many times as fast snakefish is as the best peer, as the floor (what: what that is) and as
-- each base of a target. is_floor: of the base 'floor', whether no runtime's median is below the least of its samples; else it is
-- no floor but a reference; NULL of other bases. target: how many times as fast it is to be at least, NULL where none is stated; 0.5 of the floor
-- means at most twice the floor's time. state: reached | missed (the whole interval lies there), unsure (the interval
-- holds the target, or there is none), not measured.
CREATE TABLE target(
  session INTEGER NOT NULL REFERENCES session(id), workload TEXT NOT NULL, size INTEGER NOT NULL, base TEXT NOT NULL,
  best_peer INTEGER NOT NULL, what TEXT, workers INTEGER, blocks INTEGER NOT NULL, times_as_fast REAL, low REAL, high REAL,
  is_floor INTEGER, target REAL, state TEXT, PRIMARY KEY(session, workload, size, base)) WITHOUT ROWID;

-- Block by block, for pictures: times as fast in each comparison, and over sequential in each speedup.
CREATE VIEW comparison_block AS
  SELECT c.session, c.runtime, c.base, c.workload, c.size, c.workers, o.block,
         b.operation_ns / o.operation_ns AS times_as_fast
  FROM comparison c
  JOIN measurement o ON o.session = c.session AND o.workload = c.workload AND o.size = c.size AND o.runtime = c.runtime
    AND o.workers = c.workers
  JOIN measurement b ON b.session = c.session AND b.workload = c.workload AND b.size = c.size AND b.runtime = c.base
    AND b.workers = c.base_workers AND b.block = o.block;

CREATE VIEW speedup_block AS
  SELECT s.session, s.runtime, s.workload, s.size, s.workers, o.block, b.operation_ns / o.operation_ns AS speedup
  FROM speedup s
  JOIN measurement o ON o.session = s.session AND o.workload = s.workload AND o.size = s.size AND o.runtime = s.runtime
    AND o.workers = s.workers
  JOIN measurement b ON b.session = s.session AND b.workload = s.workload AND b.size = s.size
    AND b.runtime = 'sequential' AND b.workers = 1 AND b.block = o.block;
