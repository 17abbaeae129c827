"""Which modules need more than the core's dependencies, and the extra that brings it."""

# By the module or package: the extra. All others must import with the core alone.
EXTRA_OF: dict[str, str] = {
    "aiobatch.integrations.otel": "otel",
    "aiobatch.codec.native": "native",
    **dict.fromkeys(
        [f"aiobatch.integrations.spark.{name}" for name in ("api", "reader", "source", "writer")],
        "spark",
    ),
    "aiobatch.partitions.arrow": "parquet",
    "aiobatch.cli": "cli",
}
# What the caller of these brings: a test runner is no extra.
BROUGHT: dict[str, str] = {"aiobatch.testing.pytest_plugin": "pytest"}
# What an extra is for, beside modules of ours.
BRINGS: dict[str, tuple[str, ...]] = {
    "aioboto3": ("aioboto3",),
    "cli": ("rich", "typer"),
    "demo": ("airportsdata", "flask", "flask_cors", "moto.server", "rich", "typer"),
    "native": ("aiobatch_native",),
    "otel": ("opentelemetry.trace", "opentelemetry.metrics"),
    "parquet": ("pyarrow.parquet",),
    "spark": ("pyspark.sql.datasource", "pyarrow", "numpy"),
    "testing": ("moto.server", "flask", "flask_cors"),
}

WALK = """
import importlib, json, pkgutil, sys
import aiobatch
assert "site-packages" in aiobatch.__file__, aiobatch.__file__
for name in aiobatch.__all__:
    getattr(aiobatch, name)
modules, failures = json.loads(sys.argv[1]), {}
found = pkgutil.walk_packages(aiobatch.__path__, "aiobatch.", lambda _: None)
names = [info.name for info in found]
for name in names:
    if any(name == left or name.startswith(left + ".") for left in modules):
        continue
    try:
        importlib.import_module(name)
    except ImportError as error:
        failures[name] = str(error)
print(json.dumps({"names": names, "failures": failures}))
"""
