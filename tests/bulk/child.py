"""The process that is killed: one load. ``python -m tests.bulk.child '{"sources": [...], ...}'``.

It prints a line of JSON: the report, and the most memory that it took, in KB.
"""

import asyncio
import json
import sys
from typing import Any

from aiobatch import DynamoDB
from aiobatch.bulk import load
from tests.bulk.memory import peak_kb


async def main(settings: dict[str, Any]) -> None:
    async with DynamoDB(
        endpoint_url=settings.pop("endpoint_url"),
        max_concurrency=settings.pop("max_concurrency"),
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    ) as db:
        report = await load(db, **settings)
    told = {
        "rows": report.rows,
        "done": report.done,
        "written": report.written,
        "rejected": report.rejected,
        "resumed_at": report.resumed_at,
        "elapsed": report.elapsed,
        "peak_kb": await asyncio.to_thread(peak_kb),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
