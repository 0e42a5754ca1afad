"""procrastinate_rate.py URL JOBS: jobs a second that procrastinate drains, at the best of several concurrencies."""

import asyncio
import logging
import sys
import time

import procrastinate

CONCURRENCIES = [1, 10, 30, 100]


async def main(url, jobs):
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, max_size=20))
    ended = 0

    @app.task(name="nothing")
    async def nothing():
        nonlocal ended
        ended += 1

    best = 0
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for concurrency in CONCURRENCIES:
            ended = 0
            for begin in range(0, jobs, 1000):
                await nothing.batch_defer_async(*([{}] * min(1000, jobs - begin)))
            begin = time.monotonic()
            await app.run_worker_async(
                wait=False, concurrency=concurrency, listen_notify=False, install_signal_handlers=False
            )
            rate = jobs / (time.monotonic() - begin)
            if ended != jobs:
                sys.exit(f"procrastinate: {ended} of {jobs} jobs ran")
            print(f"procrastinate: {rate:.0f} a second, {concurrency} at once", file=sys.stderr)
            best = max(best, rate)
    print(f"{best:.0f}")


logging.disable(logging.WARNING)
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
