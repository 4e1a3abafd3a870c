"""200,000 tasks of some 0.1 us, one in a chunk. Cure: chunksize=1000."""
import sys

import snakefish

print(sum(snakefish.map(abs, range(200_000), 2, 1000 if "cured" in sys.argv else 1)))
