# What each plot and term means, in two sentences, and where it comes from. Only what the page shows is explained.

explanations <- list(
  list(name = "ratio", term = "Ratio and verdict", text = paste(
    "How many times as fast snakefish was, from the medians of the same blocks, with an interval that resampling whole",
    "blocks gives. It is called faster or slower only outside of the noise margin and sure among all comparisons."),
    source = "Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, 2013; Holm, 1979"),
  list(name = "ratio", term = "A/A control and noise margin", text = paste(
    "snakefish is measured against itself in every block, as if it were two runtimes. What those ratios differ from 1 by",
    "is noise, and nothing within it (or within 2 %) is called a difference."),
    source = "Kohavi, Longbotham et al., Controlled Experiments on the Web, 2009"),
  list(name = "speedup", term = "Speedup and base case", text = paste(
    "The sequential program's time over the parallel one's; the caption names the sequential time in seconds, because a",
    "slow base flatters. Ideal is as many times as fast as there are workers."),
    source = "Hoefler and Belli, Scientific Benchmarking of Parallel Computing Systems, 2015"),
  list(name = "speedup", term = "Ceiling and effective CPUs", text = paste(
    "The ceiling is what as many independent copies of the sequential program reach at once on this machine: memory, clock",
    "rate and shared cores set it. Effective CPUs are those that the bench could use, by affinity and quota."),
    source = "bench/runtimes/ceiling.py, bench/machine.py"),
  list(name = "efficiency", term = "Efficiency", text = paste(
    "Speedup divided by workers: the share of the workers that did useful work. Beyond the CPUs it must fall."),
    source = "Hoefler and Belli, 2015"),
  list(name = "run_times", term = "Run times", text = paste(
    "The time of the parallel region in every block as a dot, and the median. A cloud wider than the distance of two medians",
    "means that their order may be chance."), source = "Tukey, Exploratory Data Analysis, 1977"),
  list(name = "serial", term = "Serial fraction", text = paste(
    "(1/S - 1/p) / (1 - 1/p) for a speedup S with p workers. If it rises with p, overhead grows; if it is flat, a part of",
    "the program is serial."), source = "Karp and Flatt, Measuring Parallel Processor Performance, 1990"),
  list(name = "fits", term = "Amdahl's law and the USL", text = paste(
    "Amdahl: a share s of the work is serial, so that the speedup stays below 1/s. The USL adds what waiting for shared",
    "things (contention) and keeping them consistent (coherency) cost, and has a peak."),
    source = "Amdahl, 1967; Gunther, Guerrilla Capacity Planning, 2007"),
  list(name = "micro", term = "Micro-benchmarks and floors", text = paste(
    "The time of one operation, on a log scale, for each runtime. The floor is what the machine alone needs, such as memcpy",
    "for a message or os.fork for a process."), source = "bench/micro"),
  list(name = "memory", term = "Peak PSS", text = paste(
    "The proportional set size of the whole process tree: a page that n processes share counts as 1/n in each. Forked",
    "children share their parent's pages until either writes to them."), source = "Linux, proc(5), smaps_rollup"),
  list(name = "tracing", term = "Tracing's own cost", text = paste(
    "The same programs with and without a trace, block by block. What events cost beyond that, in caches and in the",
    "collector's CPU, is in it."), source = "bench/runtimes/snakefish_traced.py"),
  list(name = "sessions", term = "Sessions", text = paste(
    "Each file is one session on one machine at one commit; ratios are compared within a session only. Overlapping intervals",
    "of two sessions do not prove that they are equal."), source = "Hoefler and Belli, 2015"),
  list(name = "lost_speedup", term = "Where the speed-up went", text = paste(
    "From the ideal time, useful time over lanes, to the measured one: what lay on the critical path beside useful work,",
    "by cause. Waits are charged to what the path was doing at the time."),
    source = "Boehme, Geimer, Wolf et al., Identifying the Root Causes of Wait States, 2010; POP, Standard Metrics"),
  list(name = "lost_speedup", term = "Late sender, late receiver, late child", text = paste(
    "Waiting for a message that was not sent yet; waiting for room that a receiver had not made yet; waiting for a child",
    "that had not ended yet. They say who was waited for, not who is to blame."),
    source = "Scalasca, Performance Properties"),
  list(name = "what_if", term = "What if", text = paste(
    "The run is replayed from its trace with one cost taken away and everything else as it was. It is a bound for what a",
    "better implementation of that one thing could bring."),
    source = "Curtsinger and Berger, Coz, 2015 (the question); tracer/replay.h (the way)"),
  list(name = "timeline", term = "Timeline", text = paste(
    "A lane for each process, spans by kind, messages as arrows; where spans are too short to be seen, a bar's height is the",
    "share of time that they took. The grey strip shows when the process had a CPU, if the kernel's view was recorded."),
    source = "tracer/schema.sql"),
  list(name = "timeline", term = "Critical path", text = paste(
    "Walked back from the end of the run: at each wait it jumps to the process that ended the wait. Only what shortens this",
    "path makes the run shorter."), source = "Boehme et al., 2010"),
  list(name = "ledger", term = "Ledger", text = paste(
    "Each moment of each process's life belongs to exactly one category, so that a bar's parts add up to its life. Page",
    "faults and times without a CPU are known only with the kernel's view."), source = "tracer/category.h"),
  list(name = "latency", term = "Latency (ECDF)", text = paste(
    "For each latency the share of messages that took at most so long, one line a size. Long flat tails to the right are",
    "messages that lay in their channel."), source = "Tene, How NOT to Measure Latency, 2015"),
  list(name = "channels", term = "Channels over time", text = paste(
    "How many messages were in a channel, and how many bytes per second were taken out of it. A channel that stays full waits",
    "for its receivers, one that stays empty for its senders."), source = "tracer/schema.sql, channel_depth"),
  list(name = "events", term = "Events", text = paste(
    "What the trace holds, by kind. The cost of writing one is calibrated when the trace is finished."),
    source = "ext/abi/events.def"))

understanding_html <- function(report) {
  figures <- unlist(lapply(report$sections, `[[`, "figures"), recursive = FALSE)
  shown <- sub("_[0-9]+$", "", vapply(figures, `[[`, "", "name"))
  told <- Filter(function(one) one$name %in% shown, explanations)
  entry <- function(one) {
    sprintf('<dt>%s</dt>\n<dd>%s <span class="source">Source: %s.</span></dd>', escape_html(one$term),
            escape_html(one$text), escape_html(one$source))
  }
  c("<dl>", vapply(told, entry, ""), "</dl>")
}
