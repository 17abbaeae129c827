"""Streams through every fault at once, their reports compared with what the backend holds."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any

from aiobatch import BatchError, BatchWriter, DynamoDB, ReadReport, Retry, WriteReport
from aiobatch.testing import Fault
from aiobatch.testing.script import Faulty
from tests.faults.soak import ALL_FAULTS, RETRIES, Contents, Item, SoakReport, troubled

# What was written to each key, in order; None stands for a delete.
Writes = Mapping[str, Sequence[Item | None]]


async def stream_soak(
    db: DynamoDB,
    faulty: Faulty,
    table: str,
    read_back: Callable[[], Awaitable[Contents]],
    *,
    items: int,
    seed: int,
    faults: Mapping[Fault, float] = ALL_FAULTS,
    retries: Sequence[Retry] = RETRIES,
    poisoned: float = 0.002,
    cancelled: bool = False,
) -> SoakReport:
    """Load, overwrite and delete, and read so many items, and compare after each phase.

    Args:
        db: a client of what `faulty` stands in front of.
        faulty: the proxy or the fake wire; its rules are set and cleared here.
        table: an empty table with the string key ``pk``.
        read_back: what the table holds, by key, read past the faults.
        items: how many keys.
        seed: for everything that is drawn.
        faults: with their probabilities.
        retries: the policies of streams, in turn.
        poisoned: the share of items that the service refuses.
        cancelled: whether each stream is cancelled at some time.
    """
    random = Random(seed)
    report = SoakReport()
    keys = [f"key-{number:07}" for number in range(items)]
    poison = {key for key in keys if random.random() < poisoned}

    def trouble(phase: int) -> AbstractAsyncContextManager[None]:
        return troubled(faulty, report, faults, poison, seed=seed * 10 + phase)

    async def until_cancelled(work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        if cancelled:
            await asyncio.sleep(random.random() * 2.0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        report.calls["cancelled" if task.cancelled() else "ended"] += 1
        if not task.cancelled() and task.exception() is not None:
            error = task.exception()
            report.expect(isinstance(error, BatchError), f"raised {error!r}")

    held = await read_back()
    for phase, retry in enumerate(retries):
        # 1. A load, with every key once or twice.
        source = [
            {"pk": key, "version": f"{phase}-{again}"}
            for key in random.sample(keys, len(keys))
            for again in range(1 + (random.random() < 0.1))
        ]
        reports: list[WriteReport] = []

        async def load(
            source: list[Item] = source,
            retry: Retry = retry,
            reports: list[WriteReport] = reports,
        ) -> None:
            await db.bulk_write(source, table, retry=retry, on_progress=reports.append)

        async with trouble(3 * phase):
            await until_cancelled(load())
        before, held = held, await read_back()
        if reports:
            taken: dict[str, list[Item | None]] = {}
            for version in source[: reports[-1].accepted]:
                taken.setdefault(version["pk"], []).append(version)
            _compare_writes(reports[-1], taken, before, held, report)

        # 2. A writer that tasks share, each with keys of its own: puts and deletes, again and
        # again, over many flushes.
        made: dict[str, list[Item | None]] = {}
        chosen = random.sample(keys, len(keys) // 2)
        writer = db.batch_writer(table, retry=retry, max_pending=random.choice((40, None)))

        async def work(
            worker: int,
            writer: BatchWriter = writer,
            chosen: list[str] = chosen,
            made: dict[str, list[Item | None]] = made,
            phase: int = phase,
        ) -> None:
            own = chosen[worker::8]
            for number in range(2 * len(own)):
                key = random.choice(own)
                if random.random() < 0.3:
                    await writer.delete({"pk": key})
                    made.setdefault(key, []).append(None)
                else:
                    version = {"pk": key, "version": f"{phase}-{worker}-{number}"}
                    await writer.put(version)
                    made.setdefault(key, []).append(version)
                if random.random() < 0.01:
                    await asyncio.sleep(random.random() * 0.2)
                if random.random() < 0.002:
                    await writer.flush()

        async def share(writer: BatchWriter = writer) -> None:
            async with writer:
                await asyncio.gather(*[work(worker) for worker in range(8)])

        async with trouble(3 * phase + 1):
            await until_cancelled(share())
        before, held = held, await read_back()
        _compare_writes(writer.report, made, before, held, report)

        # 3. Reading all of it, and what is not there.
        wanted = [{"pk": key} for key in random.sample(keys, len(keys))]
        wanted += [{"pk": f"none-{number}"} for number in range(len(keys) // 10)]
        missing: list[Item] = []
        found: list[Item] = []
        stream = db.iter_get(wanted, table, retry=retry, on_missing=missing.append)

        async def read(stream: Any = stream, found: list[Item] = found) -> None:
            async with stream as items:
                async for item in items:
                    found.append(item)
                    if random.random() < 0.001:
                        await asyncio.sleep(0.1)

        async with trouble(3 * phase + 2):
            await until_cancelled(read())
        _compare_reads(stream.report, wanted, found, missing, held, report)
    return report


def _compare_counts(made: WriteReport | ReadReport, report: SoakReport) -> None:
    other = made.missing if isinstance(made, ReadReport) else made.unknown
    ended = made.processed + made.unprocessed + made.rejected + made.invalid + other
    report.expect(
        made.pending == 0 and ended == made.accepted, f"does not add up: {made.in_words()}"
    )


def _compare_writes(
    made: WriteReport, writes: Writes, before: Contents, after: Contents, report: SoakReport
) -> None:
    _compare_counts(made, report)
    left: dict[str, str] = {}
    for fate, values in (
        ("unprocessed", [*made.unprocessed_items, *made.unprocessed_keys]),
        ("unknown", [*made.unknown_items, *made.unknown_keys]),
    ):
        report.entries[fate] += len(values)
        for value in values:
            key = value["pk"]
            report.expect(key not in left, f"{key}: left twice")
            left[key] = fate
            versions = writes.get(key, ())
            if versions:
                last = versions[-1]
                report.expect(
                    value == last or (last is None and "version" not in value),
                    f"{key}: what is left is not the last that was written",
                )
    rejected = {one["item"]["pk"] for one in made.rejected_items}
    report.entries["rejected"] += made.rejected
    report.entries["processed"] += made.processed
    for key, versions in writes.items():
        fate = left.get(key, "processed")
        held = after.get(key)
        earlier = [before.get(key), *versions[:-1]]
        if fate == "unprocessed":
            # The last ones were certainly not written; those before may have been.
            allowed = earlier
        elif fate == "unknown" or key in rejected:
            allowed = [*earlier, versions[-1]]
        else:
            allowed = [versions[-1]]
        report.expect(held in allowed, f"{key}: {fate}, but the table holds {held}")
    for key in before.keys() - writes.keys() - left.keys():
        report.expect(before[key] == after.get(key), f"{key}: changed by nobody")


def _compare_reads(
    made: ReadReport,
    wanted: Sequence[Item],
    found: Sequence[Item],
    missing: Sequence[Item],
    held: Contents,
    report: SoakReport,
) -> None:
    _compare_counts(made, report)
    report.expect(made.processed == len(found), "read: processed is not what was handed out")
    report.expect(made.missing == len(missing), "read: missing is not what was told")
    left = [key["pk"] for key in made.unprocessed_keys]
    rejected = [one["item"]["pk"] for one in made.rejected_keys]
    report.entries["found"] += len(found)
    report.entries["missing"] += len(missing)
    report.entries["left"] += len(left)
    ended = Counter(
        [*(item["pk"] for item in found), *(key["pk"] for key in missing), *left, *rejected]
    )
    taken = Counter(key["pk"] for key in wanted[: made.accepted])
    report.expect(ended == taken, "read: keys are lost or counted twice")
    for item in found:
        report.expect(held.get(item["pk"]) == item, f"read {item['pk']}: not what the table holds")
    for key in missing:
        report.expect(key["pk"] not in held, f"read {key['pk']}: missing, but the table holds it")
