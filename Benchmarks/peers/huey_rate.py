"""huey_rate.py DIRECTORY JOBS: jobs a second that huey drains on SQLite with fsync, in one loop without a thread between."""

import logging
import sys
import time

from huey import SqliteHuey

directory, jobs = sys.argv[1], int(sys.argv[2])
logging.disable(logging.WARNING)
queue = SqliteHuey(filename=f"{directory}/huey.db", fsync=True, results=False)
ended = 0


@queue.task()
def nothing():
    global ended
    ended += 1


for _ in range(jobs):
    nothing()
begin = time.monotonic()
while (task := queue.dequeue()) is not None:
    queue.execute(task)
rate = jobs / (time.monotonic() - begin)
if ended != jobs:
    sys.exit(f"huey: {ended} of {jobs} jobs ran")
print(f"{rate:.0f}")
