"""The signer is held to botocore's own, over many requests of its one shape."""

import datetime
import hashlib
import random
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials

from aiobatch.wire.direct import host_of
from aiobatch.wire.placeholders import OPERATIONS
from aiobatch.wire.sigv4 import CONTENT_TYPE, Signer

REQUESTS = 10_000
REGIONS = (
    "us-east-1",
    "eu-west-3",
    "ap-southeast-7",
    "cn-north-1",
    "us-gov-west-1",
    "eu-isoe-west-1",
)
SERVICES = ("dynamodb", "dynamodb", "dynamodb", "search-dynamodb")
HOSTS = (
    "http://localhost:8000",
    "http://127.0.0.1:4566/",
    "http://[::1]:8000",
    "https://[2001:db8::7]",
    "https://[2001:DB8::7]:443",
    "http://dynamodb-local:80",
    "https://dynamodb-local:80/",
    "https://DynamoDB.EU-West-3.amazonaws.com",
    "https://dynamodb.us-east-1.amazonaws.com:443",
    "https://123456789012.ddb.us-east-1.amazonaws.com",
    "https://dynamodb-fips.us-gov-west-1.api.aws",
    "https://vpce-0123-abc.dynamodb.us-east-1.vpce.amazonaws.com:8443",
    "https://dynamodb.cn-north-1.amazonaws.com.cn",
)
SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+="
ODD = SAFE + " \t~!@#$%^&*()[]{};:'\",.<>?|\\" + "éßΩЖ漢字🙂\u00a0"


def text(random_: random.Random, alphabet: str, most: int) -> str:
    return "".join(random_.choices(alphabet, k=random_.randint(1, most)))


@dataclass(frozen=True)
class Case:
    url: str
    region: str
    service: str
    operation: str
    body: bytes
    credentials: ReadOnlyCredentials
    now: float

    @classmethod
    def draw(cls, random_: random.Random, credentials: ReadOnlyCredentials) -> "Case":
        return cls(
            url=random_.choice(HOSTS),
            region=random_.choice(REGIONS),
            service=random_.choice(SERVICES),
            operation=random_.choice(OPERATIONS),
            body=random_.choice(
                (
                    random_.randbytes(random_.randint(0, 3000)),
                    ('{"TableName":"' + text(random_, ODD, 300) + '"}').encode(),
                )
            ),
            credentials=credentials,
            now=random_.choice(
                (
                    random_.uniform(0, 4e9),
                    # Around midnight, where the day's key changes.
                    86_400 * random_.randint(15_000, 25_000) + random_.uniform(-2, 2),
                )
            ),
        )


def draw_credentials(random_: random.Random) -> ReadOnlyCredentials:
    alphabet = random_.choice((SAFE, SAFE, ODD))
    token = random_.choice(
        (None, "", text(random_, SAFE, 1500), f" {text(random_, ODD, 40)} b\t c  d ")
    )
    return ReadOnlyCredentials(
        text(random_, alphabet.replace(" ", "").replace("\t", ""), 24),
        text(random_, alphabet, 60),
        token,
    )


class At(SigV4Auth):
    """botocore's signer, at a given time: its clock has another name in each version."""

    def __init__(self, case: Case) -> None:
        super().__init__(
            Credentials(*case.credentials[:3]),  # type: ignore[arg-type]
            case.service,
            case.region,
        )
        self._now = datetime.datetime.fromtimestamp(int(case.now), datetime.UTC)

    def add_auth(self, request: Any) -> None:
        request.context["timestamp"] = self._now.strftime(SIGV4_TIMESTAMP)
        self._modify_request_before_signing(request)  # type: ignore[attr-defined]
        to_sign = self.string_to_sign(request, self.canonical_request(request))
        signature = self.signature(to_sign, request)
        self._inject_signature_to_request(request, signature)  # type: ignore[attr-defined]


def by_botocore(case: Case) -> tuple[str, str]:
    request = AWSRequest(
        method="POST",
        url=case.url if case.url.endswith("/") else f"{case.url}/",
        headers={
            "X-Amz-Target": f"DynamoDB_20120810.{case.operation}",
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "not signed",
            "X-Amzn-Trace-Id": "not signed",
        },
        data=case.body,
    )
    At(case).add_auth(request)
    return request.headers["X-Amz-Date"], request.headers["Authorization"]


def by_ours(signer: Signer, case: Case) -> tuple[str, str]:
    return tuple(
        signer.sign(
            case.credentials,  # type: ignore[arg-type] # its stubs allow None
            case.now,
            host=host_of(case.url),
            target=f"DynamoDB_20120810.{case.operation}",
            body_hash=hashlib.sha256(case.body).hexdigest(),
        )
    )  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(4))
def test_signatures_are_botocores(seed: int) -> None:
    random_ = random.Random(seed)
    # Signers live long and see credentials change, as they do when they are refreshed.
    signers: dict[tuple[str, str], Signer] = {}
    pool = [draw_credentials(random_) for _ in range(200)]
    seen = set()
    for _ in range(REQUESTS // 4):
        case = Case.draw(random_, random_.choice(pool))
        signer = signers.setdefault((case.region, case.service), Signer(case.region, case.service))
        expected = by_botocore(case)
        assert by_ours(signer, case) == expected, case
        seen.add(expected)
    assert len(seen) == REQUESTS // 4


def test_the_differential_notices_a_difference() -> None:
    random_ = random.Random(5)
    case = Case.draw(random_, draw_credentials(random_))
    expected = by_botocore(case)
    for region, service in (("nowhere-1", case.service), (case.region, "s3")):
        assert by_ours(Signer(region, service), case) != expected
