"""See it: ``python -m examples.fastapi_dashboard`` serves it with moto and something to look at."""

import argparse
import asyncio
import os

import uvicorn

from benchmarks.embedded import embedded_server, placeholder_credentials
from examples.fastapi_dashboard.sample import prepare
from examples.fastapi_dashboard.settings import Settings


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.fastapi_dashboard",
        description="The dashboard with users and products to look at. moto serves DynamoDB from"
        " this process: no account, no network. What is bought is gone when it ends.",
    )
    parser.add_argument("--port", type=int, default=8080, help="the port on 127.0.0.1 (8080)")
    options = parser.parse_args()
    with placeholder_credentials(), embedded_server() as endpoint_url:
        os.environ["DASHBOARD_ENDPOINT_URL"] = endpoint_url
        asyncio.run(prepare(Settings.from_environment()))
        print(f"Users to look at: ada, bob, new. http://127.0.0.1:{options.port}/")
        uvicorn.run(
            "examples.fastapi_dashboard.app:app",
            host="127.0.0.1",
            port=options.port,
            log_level="warning",
        )


if __name__ == "__main__":
    main()
