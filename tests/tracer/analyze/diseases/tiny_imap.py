"""imap, one argument in a chunk: what takes the time is imap itself. Cure: chunksize=500."""
import sys

import snakefish

print(sum(snakefish.imap(abs, range(20_000), 2, 500 if "cured" in sys.argv else 1)))
