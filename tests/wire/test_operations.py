"""Every operation stands in every list that has to know it."""

import inspect

import botocore.session
import pytest
from aiobotocore.session import AioSession
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from aiobatch import client
from aiobatch.testing import messages
from aiobatch.wire import placeholders
from aiobatch.wire.placeholders import OPERATIONS, method_of, placeholder

# They move no items.
ABOUT_TABLES = {"CreateTable", "DescribeTable"}


@pytest.fixture(scope="module")
def models() -> dict[str, OperationModel]:
    service = botocore.session.get_session().get_service_model("dynamodb")
    return {name: service.operation_model(name) for name in service.operation_names}


def test_the_two_maps_of_placeholders_are_about_the_same_operations() -> None:
    assert tuple(placeholders._PARAMETERS) == tuple(placeholders._METHODS) == OPERATIONS


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("table", ["users", "arn:aws:dynamodb:eu-west-1:123456789012:table/users"])
def test_botocore_accepts_the_placeholder(
    operation: str, table: str, models: dict[str, OperationModel]
) -> None:
    model = models[operation]
    parameters = placeholder(operation, table)
    assert model.input_shape is not None
    report = ParamValidator().validate(parameters, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    # Endpoints may depend on the table, so it has to be in there.
    assert table in str(parameters)


async def test_the_client_has_the_methods() -> None:
    session = AioSession()
    async with session.create_client("dynamodb", region_name="eu-west-1") as raw:
        for operation in OPERATIONS:
            assert inspect.ismethod(getattr(raw, method_of(operation)))
            assert raw.meta.method_to_api_mapping[method_of(operation)] == operation


def test_faults_know_all_that_moves_items() -> None:
    assert set(OPERATIONS) - ABOUT_TABLES <= messages.DATA_OPERATIONS


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - ABOUT_TABLES - {*messages.BATCHES}))
def test_reads_and_writes_are_told_apart_in_the_same_way(operation: str) -> None:
    """In the client, for paces, and in `testing`, for what faults and limits are about."""
    reads = client._direction_of(operation) == "read"
    assert reads == (operation in messages._READS)
