"""Four workers, and in each of them as many threads of OpenMP as there are CPUs, as BLAS starts them: they spin until all have
done a small step. Cure: blas_threads=1."""
import ctypes
import os
import subprocess
import sys
import tempfile

import snakefish

CODE = """
double work(int steps)
{
    double sum = 0;
    for (int step = 0; step < steps; step++) {
        #pragma omp parallel for reduction(+:sum)
        for (int i = 1; i < 20000; i++)
            sum += 1.0 / i / (step + 1);
    }
    return sum;
}
"""

with tempfile.TemporaryDirectory() as folder:
    library = os.path.join(folder, "work.so")
    gcc = "gcc", "-O2", "-fopenmp", "-shared", "-fPIC", "-x", "c", "-", "-o", library
    subprocess.run(gcc, input=CODE, text=True, check=True)
    c = ctypes.CDLL(library)
c.work.restype = ctypes.c_double
print(sum(snakefish.map(c.work, [400] * 8, 4, 1, **({"blas_threads": 1} if "cured" in sys.argv else {}))))
