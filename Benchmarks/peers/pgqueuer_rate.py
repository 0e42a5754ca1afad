"""pgqueuer_rate.py URL JOBS: jobs a second that pgqueuer drains, at the best of several batch sizes."""

import asyncio
import logging
import sys
import time

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

BATCHES = [100, 250, 500, 1000]


async def drain(url, jobs, batch):
    connection = await asyncpg.connect(url)
    queue = PgQueuer(AsyncpgDriver(connection))
    ended = 0

    @queue.entrypoint("nothing")
    async def nothing(job):
        nonlocal ended
        ended += 1

    queries = Queries(AsyncpgDriver(connection))
    for begin in range(0, jobs, 5000):
        count = min(5000, jobs - begin)
        await queries.enqueue(["nothing"] * count, [None] * count, [0] * count)
    begin = time.monotonic()
    await queue.run(batch_size=batch, mode=QueueExecutionMode.drain)
    took = time.monotonic() - begin
    if ended != jobs:
        sys.exit(f"pgqueuer: {ended} of {jobs} jobs ran")
    return jobs / took


async def main(url, jobs):
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()
    rates = {batch: await drain(url, jobs, batch) for batch in BATCHES}
    for batch, rate in rates.items():
        print(f"pgqueuer: {rate:.0f} a second, {batch} at once", file=sys.stderr)
    print(f"{max(rates.values()):.0f}")


logging.disable(logging.WARNING)
uvloop.run(main(sys.argv[1], int(sys.argv[2])))
