from aiobatch import limits


def test_the_documented_values() -> None:
    assert (limits.BATCH_GET_MAX_KEYS, limits.BATCH_WRITE_MAX_OPERATIONS) == (100, 25)
    assert limits.REQUEST_MAX_BYTES == limits.RESPONSE_MAX_BYTES == 16_777_216
    assert limits.ITEM_MAX_BYTES == 409_600
    assert (limits.PARTITION_KEY_MAX_BYTES, limits.SORT_KEY_MAX_BYTES) == (2048, 1024)
    assert (limits.NUMBER_MAX_DIGITS, limits.NESTING_MAX_LEVELS) == (38, 32)
    assert (limits.NUMBER_MIN_EXPONENT, limits.NUMBER_MAX_EXPONENT) == (-130, 125)
