"""Which backends a run uses."""

from collections.abc import Mapping
from dataclasses import dataclass

BACKENDS_VARIABLE = "AIOBATCH_TEST_BACKENDS"
ENDPOINT_VARIABLE = "AIOBATCH_TEST_ENDPOINT"

STARTED_BY_US = ("moto", "ministack", "dynalite")
GIVEN = "endpoint"


@dataclass(frozen=True, slots=True)
class Selection:
    """The backends that run, and those that somebody left out on purpose."""

    selected: tuple[str, ...]
    left_out: tuple[str, ...]
    endpoint: str | None

    def describe(self) -> str:
        """One line for the header of the test run."""
        shown = [f"{n} ({self.endpoint})" if n == GIVEN else n for n in self.selected]
        text = f"backends: {', '.join(shown)}"
        if self.left_out:
            text += f"; LEFT OUT by {BACKENDS_VARIABLE}: {', '.join(self.left_out)}"
        return text


def read_selection(environ: Mapping[str, str]) -> Selection:
    """Everything that we start, unless the environment names less, plus the endpoint it names.

    Raises:
        ValueError: The environment names a backend that does not exist.
    """
    endpoint = environ.get(ENDPOINT_VARIABLE, "").strip() or None
    asked = [n.strip() for n in environ.get(BACKENDS_VARIABLE, "").split(",") if n.strip()]
    unknown = [n for n in asked if n not in STARTED_BY_US]
    if unknown:
        raise ValueError(
            f"{BACKENDS_VARIABLE} names {', '.join(unknown)}; "
            f"choose from {', '.join(STARTED_BY_US)}, separated by commas"
        )
    started = tuple(n for n in STARTED_BY_US if not asked or n in asked)
    return Selection(
        selected=(*started, GIVEN) if endpoint else started,
        left_out=tuple(n for n in STARTED_BY_US if n not in started),
        endpoint=endpoint,
    )
