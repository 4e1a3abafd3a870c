"""How many threads BLAS and OpenMP have in the workers of a map. Internal, for C."""


def check():
    """Whether they can be limited; if not, ImportError."""
    try:
        import threadpoolctl  # type: ignore[import]  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "blas_threads needs the package threadpoolctl, which is not installed. Without it, set OMP_NUM_THREADS and "
            "OPENBLAS_NUM_THREADS before the program starts"
        ) from error


def limit(threads):
    """At most so many in this process, to its end."""
    from threadpoolctl import threadpool_limits  # type: ignore[import]

    threadpool_limits(limits=threads)
