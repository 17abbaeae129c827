"""Every limit of DynamoDB that aiobatch relies on, named once, with where AWS says so.

Sources, as named in the comments:

- *quotas*: "Quotas in Amazon DynamoDB" (Developer Guide, ServiceQuotas and Constraints pages);
- *API*: the "Amazon DynamoDB API Reference" page of the operation named;
- *naming*: "Supported data types and naming rules in Amazon DynamoDB" (Developer Guide);
- *sizes*: "DynamoDB item sizes and formats" (Developer Guide);
- *partitions*: "Best practices for designing and using partition keys" (Developer Guide).

Sizes are in bytes; KB and MB mean 1024 and 1024 * 1024 bytes, as DynamoDB counts them.
"""

from __future__ import annotations

from typing import Final

_KIB: Final = 1024
_MIB: Final = 1024 * 1024

# --- Batches ---

# API, BatchGetItem: "A single operation can retrieve up to 16 MB of data, which can contain as many
# as 100 items." Counted over all tables of the request.
BATCH_GET_MAX_KEYS: Final = 100
# API, BatchWriteItem: "There are more than 25 requests in the batch." Over all tables.
BATCH_WRITE_MAX_OPERATIONS: Final = 25
# API, BatchWriteItem: "The total request size exceeds 16 MB"; taken for every request.
REQUEST_MAX_BYTES: Final = 16 * _MIB
# API, BatchGetItem: the rest of an answer over 16 MB comes back in UnprocessedKeys.
RESPONSE_MAX_BYTES: Final = 16 * _MIB
# API, BatchGetItem: a partial result if "more than 1MB per partition is requested".
BATCH_GET_PARTITION_MAX_BYTES: Final = 1 * _MIB

# --- Transactions and queries ---

# API, TransactWriteItems and TransactGetItems: up to 100 actions; the aggregate size of the items
# "cannot exceed 4 MB".
TRANSACTION_MAX_OPERATIONS: Final = 100
TRANSACTION_MAX_BYTES: Final = 4 * _MIB
# API, TransactWriteItems, ClientRequestToken: "Minimum length of 1. Maximum length of 36."
CLIENT_REQUEST_TOKEN_MAX_LENGTH: Final = 36
# API, Query: "a maximum of 1 MB of data", then the filter is applied.
QUERY_PAGE_MAX_BYTES: Final = 1 * _MIB
# API, Scan, TotalSegments: "Minimum value of 1. Maximum value of 1000000."
SCAN_MAX_SEGMENTS: Final = 1_000_000

# --- Items and keys ---

# quotas, "Item size": 400 KB with both attribute names (UTF-8) and attribute values.
ITEM_MAX_BYTES: Final = 400 * _KIB
# quotas, "Partition keys" and "Sort keys": 1 to 2048 and 1 to 1024 bytes.
PARTITION_KEY_MAX_BYTES: Final = 2048
SORT_KEY_MAX_BYTES: Final = 1024
# quotas, "Attribute name-value pairs": nested attributes up to 32 levels deep. AWS was seen to take
# a scalar under 31 lists or maps and to refuse it under 32: so the top-level attribute is level 1,
# what a list or map holds is one level further down, and no value stands below level 32.
NESTING_MAX_LEVELS: Final = 32

# --- Names ---

# API, PutItem, Item: "Key Length Constraints: Maximum length of 65535." Naming has it as at least
# one character and no greater than 64 KB.
ATTRIBUTE_NAME_MAX_BYTES: Final = 65_535
# API, KeySchemaElement, AttributeName: "Minimum length of 1. Maximum length of 255."
KEY_NAME_MAX_LENGTH: Final = 255

# --- Numbers ---

# quotas, "Number": "up to 38 digits of precision, and can be positive, negative, or zero".
NUMBER_MAX_DIGITS: Final = 38
# quotas, "Number": 1E-130 to 9.9999999999999999999999999999999999999E+125 either side of zero. So
# the first significant digit stands for a power of ten between these two, both included.
NUMBER_MIN_EXPONENT: Final = -130
NUMBER_MAX_EXPONENT: Final = 125

# --- Expressions ---

# quotas, "Expression parameters": an expression string, and each substitution variable.
EXPRESSION_MAX_BYTES: Final = 4 * _KIB
PLACEHOLDER_MAX_BYTES: Final = 255

# --- Capacity ---

# quotas, "Capacity unit sizes": one read unit is a strongly consistent read of up to 4 KB (half a
# unit when eventually consistent), one write unit a write of up to 1 KB.
READ_UNIT_BYTES: Final = 4 * _KIB
WRITE_UNIT_BYTES: Final = 1 * _KIB
# partitions: what one partition gives, per second.
PARTITION_MAX_READ_UNITS: Final = 3000
PARTITION_MAX_WRITE_UNITS: Final = 1000
