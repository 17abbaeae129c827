"""What the data source takes from PySpark, or an error that says what is missing."""

try:
    from pyspark import TaskContext
    from pyspark.sql.datasource import (
        DataSource,
        DataSourceArrowWriter,
        DataSourceReader,
        InputPartition,
        WriterCommitMessage,
    )
except ImportError as error:
    raise ImportError(
        "aiobatch.integrations.spark needs PySpark 4.0 or later for its data source:"
        " pip install 'aiobatch[spark]'. On Spark 3.5 use map_in_arrow()"
    ) from error

__all__ = [
    "DataSource",
    "DataSourceArrowWriter",
    "DataSourceReader",
    "InputPartition",
    "TaskContext",
    "WriterCommitMessage",
]
