"""Who is measured, and where it is installed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NATIVE, PLAIN, PLAIN_AIOBOTOCORE = "aiobatch-native", "aiobatch-plain", "aiobatch-plain-aiobotocore"
AIOBOTOCORE, PYDYNOX, BARE, SOCKETS = "aiobotocore", "pydynox", "bare", "sockets"
NATIVE_LISTS, PLAIN_LISTS, PYDYNOX_LISTS = (
    "aiobatch-native-lists",
    "aiobatch-plain-lists",
    "pydynox-lists",
)
BARE_NATIVE, BARE_PLAIN = "bare-native", "bare-plain"
REQUESTS_A_LIST = 16
"""Requests that a call over a long list comes to, for clients that take one."""


@dataclass(frozen=True)
class Variant:
    """One client in one configuration.

    Attributes:
        environment: the directory of the virtual environment that it is installed in.
        ours: it is aiobatch, so its failure is ours.
        options: passed to its adapter.
        interpreter: used instead of the environment's own, and taken to have all it needs.
    """

    name: str
    label: str
    adapter: str
    environment: str
    ours: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    interpreter: Path | None = None

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.interpreter or ROOT / self.environment / "bin" / "python"

    @property
    def installed(self) -> bool:
        """Whether make has installed all that it needs."""
        made = self.interpreter is not None or (ROOT / self.environment / ".installed").exists()
        return made and self.python.exists()


def _ours(name: str, label: str, codec: str, wire: str, **more: Any) -> Variant:
    options = {"codec": codec, "wire": wire, **more}
    return Variant(name, label, "with_aiobatch", ".venv-bench", True, options)


LONG_CALLS = f"calls of {REQUESTS_A_LIST} requests"


VARIANTS = (
    _ours(NATIVE, "aiobatch, native codec", "native", "direct"),
    _ours(PLAIN, "aiobatch, plain Python codec", "plain", "direct"),
    _ours(PLAIN_AIOBOTOCORE, "aiobatch, plain codec, aiobotocore's wire", "plain", "aiobotocore"),
    _ours(
        NATIVE_LISTS,
        f"aiobatch, native codec, {LONG_CALLS}",
        "native",
        "direct",
        requests=REQUESTS_A_LIST,
    ),
    _ours(
        PLAIN_LISTS,
        f"aiobatch, plain Python codec, {LONG_CALLS}",
        "plain",
        "direct",
        requests=REQUESTS_A_LIST,
    ),
    Variant(PYDYNOX, "pydynox", "with_pydynox", ".venv-bench-pydynox"),
    Variant(
        PYDYNOX_LISTS,
        f"pydynox, {LONG_CALLS}",
        "with_pydynox",
        ".venv-bench-pydynox",
        options={"requests": REQUESTS_A_LIST},
    ),
    Variant("aiodynamo", "aiodynamo", "with_aiodynamo", ".venv-bench-aiodynamo"),
    Variant(
        AIOBOTOCORE, "aiobotocore, boto3's types", "with_aiobotocore", ".venv-bench-aiobotocore"
    ),
    Variant("aioboto3", "aioboto3", "with_aioboto3", ".venv-bench-aioboto3"),
    Variant(
        "boto3-assist", "boto3-assist, in threads", "with_boto3_assist", ".venv-bench-boto3-assist"
    ),
    *(
        Variant(
            name,
            f"the exchange and the {codec} codec alone",
            "bare_with_codec",
            ".venv-bench",
            options={"codec": codec},
        )
        for name, codec in ((BARE_NATIVE, "native"), (BARE_PLAIN, "plain"))
    ),
    Variant(BARE, "the bare exchange over aiohttp", "bare", ".venv-bench"),
    Variant(SOCKETS, "sockets alone: the server's ceiling", "sockets", ".venv-bench"),
)
LABELS = {variant.name: variant.label for variant in VARIANTS}
OURS = tuple(variant.name for variant in VARIANTS if variant.ours)
LIMITS = (BARE_NATIVE, BARE_PLAIN, BARE, SOCKETS)
"""What is no client: the exchange without the work, or with the codec's alone."""
LISTS = (NATIVE_LISTS, PLAIN_LISTS, PYDYNOX_LISTS)
NOT_ELSEWHERE = (BARE_NATIVE, BARE_PLAIN, SOCKETS, *LISTS)
"""What tells something of what a client costs, and nothing of stalls and distance."""
