"""What LightGBM tells of a round, as `logs` and as `run.native_logs` have it."""

from __future__ import annotations

from typing import Any

from onlooker.hosts.round_names import Metrics, RoundNames


def native_of(results: Any) -> dict[str, dict[str, Any]]:
    """Return what LightGBM says of a round as its `record_evaluation` names it."""
    found: dict[str, dict[str, Any]] = {}
    for data, metric, value, _, *deviation in map(_fields, results):
        own = {f"{metric}-mean": value, f"{metric}-stdv": deviation[0]} if deviation else {metric: value}
        found.setdefault(data, {}).update(own)
    return found


def values_of(names: RoundNames, results: Any, training: str | None) -> tuple[Metrics, Metrics]:
    """Return a round's values of the epoch and of its validation; in `cv` means, with deviations as `_std`."""
    all_fields = [_fields(result) for result in results]
    higher = {fields[1]: fields[3] for fields in all_fields}
    found: list[Metrics] = [{}, {}, {}]
    for suffix, at in (("", 2), ("_std", 4)):
        by_data: dict[str, dict[str, Any]] = {}
        for fields in all_fields:
            if len(fields) > at:
                by_data.setdefault(fields[0], {})[fields[1]] = fields[at]
        if by_data or not suffix:
            for all_of_them, some in zip(found, names.sort(by_data, higher.__getitem__, training), strict=True):
                all_of_them.update({f"{name}{suffix}": value for name, value in some.items()})
    return {**found[0], **found[2]}, found[1]


def _fields(result: Any) -> list[Any]:
    """Return data set, metric, value, whether more is better, and in `cv` the deviation."""
    data, metric, *rest = result
    if data == "cv_agg":  # before LightGBM 4.7 both stood in one word, and before 4.0 the metric alone
        data, _, metric = metric.partition(" ") if " " in metric else ("valid", "", metric)
    return [data, metric, *rest]
