"""Libraries that take an Executor work with ours."""
import asyncio
import concurrent.futures
import importlib
import os
import time

import pytest
from conftest import children

import snakefish
from snakefish import Executor


def library(name):
    """The module; the test is skipped where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return pytest.skip(f"{name} is not installed")


def square(x):
    return x * x


def where(x):
    return os.getpid()


# ---- the standard library ----


def test_it_is_a_concurrent_futures_executor_with_its_futures(executor):
    assert isinstance(executor, concurrent.futures.Executor)
    future = executor.submit(square, 3)
    assert isinstance(future, concurrent.futures.Future) and future.result() == 9


def test_as_completed_gives_futures_as_they_end(executor):
    slow, quick = executor.submit(time.sleep, 0.3), executor.submit(square, 3)
    assert list(concurrent.futures.as_completed([slow, quick])) == [quick, slow]


def test_wait_returns_at_the_first_end_the_first_exception_and_all(executor):
    slow, quick = executor.submit(time.sleep, 0.5), executor.submit(square, 3)
    assert concurrent.futures.wait([slow, quick], return_when=concurrent.futures.FIRST_COMPLETED) == ({quick}, {slow})
    failed = executor.submit(int, "x")
    done, not_done = concurrent.futures.wait([slow, failed], return_when=concurrent.futures.FIRST_EXCEPTION)
    assert (done, not_done) == ({failed}, {slow})
    assert concurrent.futures.wait([slow, failed], timeout=0) == ({failed}, {slow})
    assert concurrent.futures.wait([slow, failed]) == ({failed, slow}, set())


def test_futures_of_several_executors_are_waited_for_together(executor):
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        futures = [executor.submit(square, 3), other.submit(square, 4)]
        assert {future.result() for future in concurrent.futures.as_completed(futures)} == {9, 16}


def test_asyncio_awaits_its_tasks_and_the_loop_goes_on_meanwhile(executor):
    async def main():
        loop = asyncio.get_running_loop()
        ticks = []

        async def tick():
            while True:
                ticks.append(1)
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        results = await asyncio.gather(*[loop.run_in_executor(executor, lambda n=n: time.sleep(0.1) or n) for n in range(6)])
        ticking.cancel()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(executor, divmod, 1, 0)
        with pytest.raises(snakefish.WorkerDied):
            await loop.run_in_executor(executor, os._exit, 3)
        wrapped = await asyncio.wait_for(asyncio.wrap_future(executor.submit(square, 5)), 10)
        return results, len(ticks), wrapped

    results, ticks, wrapped = asyncio.run(main())
    assert results == list(range(6)) and ticks >= 3 and wrapped == 25


def test_asyncio_cancels_what_waits_and_gives_up_what_is_too_late():
    async def main(executor):
        loop = asyncio.get_running_loop()
        slow = loop.run_in_executor(executor, time.sleep, 0.5)
        later = [loop.run_in_executor(executor, square, n) for n in range(20)]
        later[-1].cancel()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(slow), 0.05)
        with pytest.raises(asyncio.CancelledError):
            await later[-1]
        await slow
        return await asyncio.gather(*later[:-1])

    with Executor(1) as executor:
        assert asyncio.run(main(executor)) == [n * n for n in range(19)]


def test_a_future_is_set_by_nobody_else_when_a_chain_of_callbacks_submits_more(executor):
    """Continuation style: each step is submitted by the callback of the one before."""
    outcome = concurrent.futures.Future()

    def go_on(future):
        if future.result() > 1000:
            outcome.set_result(future.result())
        else:
            executor.submit(square, future.result()).add_done_callback(go_on)

    executor.submit(square, 2).add_done_callback(go_on)
    assert outcome.result(20) == 65536


# ---- other libraries ----


def joblib_backend(joblib, executor):
    """An adapter as several libraries have one: joblib gives it batches, and wants a future for each."""
    from joblib._parallel_backends import AutoBatchingMixin, ParallelBackendBase, SequentialBackend

    class Handle:
        def __init__(self, future):
            self.future = future

        def get(self, timeout=None):
            return self.future.result(timeout)

        result = get

    class Backend(AutoBatchingMixin, ParallelBackendBase):
        supports_timeout = True

        def effective_n_jobs(self, n_jobs):
            return 2

        def configure(self, n_jobs=1, parallel=None, **options):
            self.parallel = parallel
            return 2

        def apply_async(self, batch, callback=None):
            future = executor.submit(batch)
            if callback:
                future.add_done_callback(lambda future: callback(future.result()))
            return Handle(future)

        submit = apply_async

        def retrieve_result_callback(self, future):
            return future.result()

        def get_nested_backend(self):
            return SequentialBackend(nesting_level=1), None

        def abort_everything(self, ensure_ready=True):
            pass

    return Backend


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_joblib_runs_its_batches_in_our_workers(executor):
    joblib = library("joblib")
    joblib.register_parallel_backend("ours", joblib_backend(joblib, executor))
    with joblib.parallel_backend("ours"):
        found = joblib.Parallel()(joblib.delayed(lambda n: n * n)(n) for n in range(20))  # which pickle cannot
        pids = joblib.Parallel()(joblib.delayed(where)(n) for n in range(50))
        with pytest.raises(ZeroDivisionError):
            joblib.Parallel()(joblib.delayed(divmod)(1, n) for n in (1, 0))
    assert found == [n * n for n in range(20)]
    assert os.getpid() not in pids and len(set(pids)) <= 6  # two generations and the worker of an exception


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tqdms_helper_makes_one_and_shows_progress(capfd):
    """It passes max_workers, initializer, initargs, and chunksize to map."""
    library("tqdm")
    helper = importlib.import_module("tqdm.contrib.concurrent")
    got = helper._executor_map(Executor, square, range(30), max_workers=2, chunksize=4, desc="squares")
    assert got == [n * n for n in range(30)] and not children()
    assert "squares: 100%" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dask_computes_a_graph_with_it(executor):
    dask = library("dask")
    parts = [dask.delayed(square)(n) for n in range(20)]
    with dask.config.set(pool=executor, scheduler="processes"):
        total, pid = dask.compute(dask.delayed(sum)(parts), dask.delayed(os.getpid)())
    assert total == sum(n * n for n in range(20)) and pid in children()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dask_arrays_and_bags_are_computed_with_it(executor):
    dask, bag = library("dask"), library("dask.bag")
    numpy = library("numpy")
    array = library("dask.array")
    with dask.config.set(pool=executor, scheduler="processes"):
        assert bag.from_sequence(range(100), npartitions=7).map(square).sum().compute() == sum(n * n for n in range(100))
        assert (array.arange(100_000, chunks=10_000) + 1).sum().compute() == numpy.arange(100_001).sum()


def test_scipy_maps_with_it(executor):
    """`workers` of many functions of scipy is a map: as a function, it is called again and again with new arguments."""
    optimize = library("scipy.optimize")
    found = optimize.differential_evolution(lambda x: (x[0] - 2) ** 2 + (x[1] + 1) ** 2, [(-5, 5), (-5, 5)], seed=1, maxiter=15,
                                            updating="deferred", workers=executor.map, tol=1e-8)
    assert abs(found.x[0] - 2) < 0.01 and abs(found.x[1] + 1) < 0.01


def test_a_library_that_only_knows_the_interface():
    """What it may do: subclass it, wrap submit, use it as an argument's default, and pass fn by keyword of its own."""
    class Counting(Executor):
        submitted = 0

        def submit(self, fn, /, *args, **kwargs):
            self.submitted += 1
            return super().submit(fn, *args, **kwargs)

    def use(pool: concurrent.futures.Executor, **kwargs):
        with pool:
            futures = {pool.submit(dict, fn=n, self=n, **kwargs): n for n in range(5)}
            return sorted((futures[f], f.result()) for f in concurrent.futures.as_completed(futures))

    counting = Counting(max_workers=2)
    assert use(counting, args=1) == [(n, {"fn": n, "self": n, "args": 1}) for n in range(5)]
    assert counting.submitted == 5 and not children()
