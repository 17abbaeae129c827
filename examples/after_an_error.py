"""An error says what became of every item: ``error.response`` is the whole account."""

from collections.abc import Mapping
from typing import Any

from aiobatch import BatchError, DynamoDB, Retry
from aiobatch.testing import Entry, Fault, FaultProxy
from examples._support import run
from examples.models import sample_users


async def main(db: DynamoDB, table_name: str = "users") -> Mapping[str, Any]:
    users = sample_users(75)
    try:
        response: Mapping[str, Any] = await db.batch_write_item(items=users, table_name=table_name)
    except BatchError as error:
        response = error.response

    print(f"Written: {response['ProcessedCount']}")
    # DynamoDB refused these for their own sake: sending them again would not help.
    for rejected in response.get("RejectedItems", []):
        print(f"Refused: item {rejected['index']}, {rejected['code']}: {rejected['message']}")

    # It is unknown whether these were written. To put or delete again does no harm.
    unknown = response.get("UnknownItems", [])
    print(f"Unknown: {len(unknown)}, not written: {response['UnprocessedCount']}")
    again = await db.batch_write_item(
        items=[*unknown, *response["UnprocessedItems"]], table_name=table_name
    )
    print(f"Written at the second attempt: {again['ProcessedCount']}")
    return response


RETRY = Retry(max_retries=0)


def _is(user_id: str, entry: Entry) -> bool:
    return bool(entry.value["pk"] == {"S": f"user#{user_id}"})


def trouble(proxy: FaultProxy) -> None:
    proxy.always(
        Fault.validation("Type mismatch for an index key"),
        entry=lambda entry: _is("user-007", entry),
    )
    # The request of user-030 is executed, but its answer is an error of the server's.
    proxy.script([Fault.internal_error(executed=True)], entry=lambda entry: _is("user-030", entry))
    proxy.script([Fault.partial(0.4)], entry=lambda entry: _is("user-053", entry))


if __name__ == "__main__":
    run(main, trouble=trouble, retry=RETRY)
