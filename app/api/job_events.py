"""Server-Sent Events about a training job.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from time import monotonic
from typing import Final

from anyio import CapacityLimiter, to_thread
from pydantic import BaseModel

from app.api.training_schemas import accepted_answer, job_answer, line_answer
from app.domain.errors import FacetwinError, OverloadedError
from app.domain.training_jobs import JobRecord, LogLine
from app.services.training_jobs import TrainingJobs

EVENT_STREAM: Final = "text/event-stream"
LOOK_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 15.0
"""Less than what proxies wait for before they take a connection for dead."""
MAX_LISTENERS: Final = 64
_THREADS: Final = 2
_RECONNECT_MS: Final = 3000

News = tuple[JobRecord, list[LogLine]]


class JobListeners:
    """Everyone who listens to jobs. A listener costs a look at the database, and no thread.

    Args:
        jobs: What is listened to.
        draining: Whether the service is being stopped; then all listeners are sent away.
    """

    def __init__(self, jobs: TrainingJobs, draining: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._draining = draining
        self._threads = CapacityLimiter(_THREADS)
        self._listening = 0

    async def listen(self, job_id: str, after: int) -> AsyncIterator[str]:
        """Events until the job has ended, or the service is being stopped.

        Args:
            job_id: Of the job.
            after: Number of the last line of the log that is known already.

        Raises:
            JobNotFoundError: If there is no such job.
            OverloadedError: If too many listen.
            StorageError: If the database can't be read.
        """
        news = await self._look(job_id, after)
        if self._listening >= MAX_LISTENERS:
            raise OverloadedError("Too many listen to training jobs. Ask for the status instead.")
        events = self._events(job_id, after, news)
        # Who got in counts from now on, not from when the answer is begun to be sent.
        await anext(events)
        return events

    async def _events(self, job_id: str, after: int, news: News) -> AsyncGenerator[str, None]:
        """All events, after an empty text when the listener is counted."""
        self._listening += 1
        try:
            yield ""
            yield f"retry: {_RECONNECT_MS}\n\n"
            async with aclosing(self._changes(job_id, after, news)) as changes:
                async for event in changes:
                    yield event
        finally:
            self._listening -= 1

    async def _changes(self, job_id: str, after: int, news: News) -> AsyncGenerator[str, None]:
        told: JobRecord | None = None
        spoken_at = monotonic()
        while True:
            job, lines = news
            text = "".join(_event("log", line_answer(line), number=line.number) for line in lines)
            # Alone, a sign of life of the job is no news.
            if told is None or replace(job, heartbeat_at=None) != told:
                told = replace(job, heartbeat_at=None)
                text += _event("progress", job_answer(job))
            if job.state.ended:
                yield text + _event("end", accepted_answer(job))
                return
            if not text and monotonic() - spoken_at >= HEARTBEAT_SECONDS:
                text = ": alive\n\n"
            if text:
                spoken_at = monotonic()
                yield text
            after = lines[-1].number if lines else after
            await asyncio.sleep(LOOK_SECONDS)
            if self._draining():
                return
            try:
                news = await self._look(job_id, after)
            except FacetwinError:
                # Erased, or not to be read for now: the listener comes back and is told.
                return

    async def _look(self, job_id: str, after: int) -> News:
        return await to_thread.run_sync(self._jobs.watch, job_id, after, limiter=self._threads)


def _event(name: str, data: BaseModel, *, number: int | None = None) -> str:
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}event: {name}\ndata: {data.model_dump_json()}\n\n"
