"""The process that is killed: ``python -m tests.bulk.child load '{"sources": [...], ...}'``.

It loads, exports, copies or gets, and prints a line of JSON: the report, and the most memory that
it took, in KB.
"""

import asyncio
import json
import sys
from typing import Any, Final

from botocore.config import Config

from aiobatch import DynamoDB, bulk
from tests.bulk.memory import peak_kb

WORK: Final[dict[str, Any]] = {
    "load": bulk.load,
    "export": bulk.export,
    "copy": bulk.copy,
    "get": bulk.fetch,
}


async def main(work: str, settings: dict[str, Any]) -> None:
    async with DynamoDB(
        endpoint_url=settings.pop("endpoint_url"),
        max_concurrency=settings.pop("max_concurrency"),
        # ministack reads a whole table for each page of a scan.
        config=Config(read_timeout=120),
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    ) as db:
        report = await WORK[work](db, **settings)
    told = {
        name: getattr(report, name)
        for name in type(report).__dataclass_fields__
        if isinstance(getattr(report, name), int | float)
    }
    print(json.dumps(told | {"peak_kb": await asyncio.to_thread(peak_kb)}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
