"""The bench: programs run on several runtimes, each sample in a fresh process, into one SQLite file."""
