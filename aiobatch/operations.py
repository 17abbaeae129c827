"""Operations on items, as batches over several tables and transactions take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

__all__ = ["ConditionCheck", "Delete", "Get", "Put", "Update"]

ReturnOnFailure = Literal["NONE", "ALL_OLD"]

# Compared by identity: leftovers are the caller's own objects. Items and keys stay out of reprs.


@dataclass(frozen=True, slots=True, eq=False)
class Put:
    """Put an item. In ``batch_write`` the item alone; the rest is for transactions.

    Args:
        item: a mapping, a dataclass, a pydantic model, or anything else that is an item.
        table_name: the table's name or ARN. ``batch_write`` has it as the key of its mapping.
        condition_expression: put it only if this holds.
        expression_attribute_names: placeholders that the condition uses.
        expression_attribute_values: values that the condition uses, as Python values.
        return_values_on_condition_check_failure: ``"ALL_OLD"``: if the condition does not hold,
            give the item as it is in the reasons of the ``TransactionFailed``.
    """

    item: Any = field(repr=False)
    table_name: str | None = None
    _: KW_ONLY
    condition_expression: str | None = None
    expression_attribute_names: Mapping[str, str] | None = None
    expression_attribute_values: Mapping[str, Any] | None = field(default=None, repr=False)
    return_values_on_condition_check_failure: ReturnOnFailure | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Delete:
    """Delete an item by its key. In ``batch_write`` the key alone.

    Args: as for :class:`Put`, with ``key`` in place of ``item``.
    """

    key: Any = field(repr=False)
    table_name: str | None = None
    _: KW_ONLY
    condition_expression: str | None = None
    expression_attribute_names: Mapping[str, str] | None = None
    expression_attribute_values: Mapping[str, Any] | None = field(default=None, repr=False)
    return_values_on_condition_check_failure: ReturnOnFailure | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """Change attributes of an item, in a transaction.

    Args: as for :class:`Put`, with ``key`` in place of ``item``, and ``update_expression``, such
    as ``"SET stock = stock - :n"``.
    """

    key: Any = field(repr=False)
    table_name: str
    update_expression: str
    _: KW_ONLY
    condition_expression: str | None = None
    expression_attribute_names: Mapping[str, str] | None = None
    expression_attribute_values: Mapping[str, Any] | None = field(default=None, repr=False)
    return_values_on_condition_check_failure: ReturnOnFailure | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ConditionCheck:
    """Let a transaction depend on an item that it does not change.

    Args: as for :class:`Put`, with ``key`` in place of ``item``.
    """

    key: Any = field(repr=False)
    table_name: str
    condition_expression: str
    _: KW_ONLY
    expression_attribute_names: Mapping[str, str] | None = None
    expression_attribute_values: Mapping[str, Any] | None = field(default=None, repr=False)
    return_values_on_condition_check_failure: ReturnOnFailure | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Get:
    """Read an item in ``transact_get_items``.

    Args:
        key: a mapping of the key attributes.
        table_name: the table's name or ARN.
        projection_expression: the attributes to read; reserved words need no placeholder.
        expression_attribute_names: placeholders that the projection uses.
        model: what to make of the item; see ``DynamoDB.batch_get_item``.
    """

    key: Any = field(repr=False)
    table_name: str
    _: KW_ONLY
    projection_expression: str | None = None
    expression_attribute_names: Mapping[str, str] | None = None
    model: Any = None
