"""Reading metrics in the Prometheus text format."""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Metrics:
    """All families of one scrape."""

    kinds: dict[str, str]
    samples: tuple[tuple[str, dict[str, str], float], ...]

    def names(self) -> set[str]:
        """The names of all samples."""
        return {name for name, _, _ in self.samples}

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name whose labels include the given ones; 0 when there is none."""
        return sum(value for found, its, value in self.samples if found == name and labels.items() <= its.items())

    def kind(self, family: str) -> str | None:
        """counter, gauge, histogram, ... or None for an unknown family."""
        return self.kinds.get(family) or self.kinds.get(family.removesuffix("_total"))


def parse(text: str) -> Metrics:
    """The metrics of an exposition text. Raises ValueError when it is not one."""
    return parse_all([text])


def parse_all(texts: Iterable[str]) -> Metrics:
    """The metrics of several programs together. Raises ValueError when one of the texts is no exposition."""
    families = []
    for text in texts:
        found = list(text_string_to_metric_families(text))
        if not found:
            raise ValueError("the text holds no metric at all")
        families += found
    return Metrics(
        kinds={family.name: family.type for family in families},
        samples=tuple(
            (sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples
        ),
    )
