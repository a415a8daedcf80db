import asyncio
from threading import Event

import pytest

from app.domain.errors import OverloadedError
from app.inference.pool import InferencePool


async def _drained(pool: InferencePool) -> None:
    while pool.in_flight:  # noqa: ASYNC110 - the pool tells nobody, and need not
        await asyncio.sleep(0.001)


def test_work_runs_off_the_event_loop_and_returns() -> None:
    async def main() -> int:
        pool = InferencePool(1, 0)
        try:
            return await pool.run(max, 3, 7)
        finally:
            pool.close()

    assert asyncio.run(main()) == 7


def test_an_error_of_the_work_reaches_the_caller_and_frees_the_permit() -> None:
    async def main() -> None:
        pool = InferencePool(1, 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.run(divmod, 1, 0)
        assert pool.in_flight == 0
        pool.close()

    asyncio.run(main())


def test_a_caller_that_left_keeps_the_permit_until_the_work_ends() -> None:
    async def main() -> None:
        pool, started, gate = InferencePool(1, 0), Event(), Event()

        def work() -> None:
            started.set()
            gate.wait(10)

        caller = asyncio.create_task(pool.run(work))
        await asyncio.to_thread(started.wait, 10)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        with pytest.raises(OverloadedError):
            await pool.run(max, 1, 2)
        gate.set()
        await _drained(pool)
        assert await pool.run(max, 1, 2) == 2
        pool.close()

    asyncio.run(main())


def test_a_caller_that_left_the_queue_frees_its_place() -> None:
    async def main() -> None:
        pool, gate = InferencePool(1, 1), Event()
        running = asyncio.create_task(pool.run(gate.wait, 10))
        waiting = asyncio.create_task(pool.run(max, 1, 2))
        await asyncio.sleep(0.01)
        assert (pool.in_flight, pool.queued) == (2, 1)
        waiting.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert await running
        await _drained(pool)
        pool.close()

    asyncio.run(main())


def test_a_closed_pool_refuses() -> None:
    async def main() -> None:
        pool = InferencePool(1, 0)
        pool.close()
        with pytest.raises(OverloadedError) as refused:
            await pool.run(max, 1, 2)
        assert refused.value.extra["retry_after"] == 1
        assert pool.in_flight == 0

    asyncio.run(main())
