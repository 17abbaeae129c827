"""Load a file of any length, so that it can be killed and started again."""

import asyncio
import tempfile
from pathlib import Path

from aiobatch import DynamoDB
from aiobatch.bulk import LoadReport, load
from examples._support import run


def write_sample(path: Path, rows: int = 2000) -> None:
    lines = [f"sensor#{n % 50},{n},{n / 8}\n" for n in range(rows)]
    # What cannot be written ends no load.
    lines[1000] = "sensor#7,1000,broken\n"
    path.write_text("pk,sk,degrees:N\n" + "".join(lines), encoding="utf-8")


async def main(db: DynamoDB, table_name: str = "readings") -> LoadReport:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "readings.csv")
        await asyncio.to_thread(write_sample, path)

        # The checkpoint stands beside the file, and is removed at the end.
        report = await load(db, path, table_name, checkpoint=True)

        print(f"{report.written} rows written, {report.rejected} rejected:")
        [letters] = report.dead_letters
        print(await asyncio.to_thread(letters.read_text, encoding="utf-8"), end="")
    return report


if __name__ == "__main__":
    run(main)
