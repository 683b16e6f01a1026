"""
What a night is expected to avoid, in the words of its summary.

Where savings are drawn, ``saving_cny`` of a record is by the draw that decided: the
proof is of it. Nobody expects it: the expectation is by the mean of the model. All that
people read as harm avoided, and all trends, take it from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Amounts of a night that are named so wherever they are told, as far as it has them.
SAVINGS = ("saving_cny", "drawn_saving_cny")


def by_mean(summary: Mapping[str, Any]) -> dict[str, Any]:
    r"""
    The summary of a night with what it is expected to avoid as its saving.

    Parameters
    ----------
    summary
        As in ``run.json``: ``saving_cny`` is :math:`\sum_i s_i` over the parcels that
        are carried out, where savings are drawn by the draw :math:`s_i`.

    Returns
    -------
    dict
        The same; where savings are drawn, ``saving_cny`` is
        :math:`\sum_i \mathbb{E}[s_i]` by the model, and ``drawn_saving_cny`` the sum by
        the draw, both CNY.

    Examples
    --------
    >>> by_mean({"saving_cny": 9.0})
    {'saving_cny': 9.0}
    >>> drawn = by_mean({"saving_cny": 9.0, "draw": {"mean_saving_cny": -2.0}})
    >>> drawn["saving_cny"], drawn["drawn_saving_cny"]
    (-2.0, 9.0)
    """
    told = dict(summary)  # of a damaged record it may be anything: then ValueError
    draw = told.get("draw")
    if draw is None:
        return told
    mean = {"saving_cny": draw["mean_saving_cny"]}
    return {**told, **mean, "drawn_saving_cny": summary["saving_cny"]}


def saved_words(told: Mapping[str, Any]) -> str:
    """
    Say a night's saving in a few words.

    Parameters
    ----------
    told
        What :func:`by_mean` gives, or the ``SAVINGS`` of it.

    Examples
    --------
    >>> saved_words({"saving_cny": 1234.5})
    '1,234.50 CNY'
    >>> saved_words({"saving_cny": -2.0, "drawn_saving_cny": 9.0})
    '-2.00 CNY (9.00 CNY by the savings that were drawn)'
    """
    words = f"{told['saving_cny']:,.2f} CNY"
    if "drawn_saving_cny" not in told:
        return words
    drawn = f"{told['drawn_saving_cny']:,.2f} CNY"
    return f"{words} ({drawn} by the savings that were drawn)"


def fee_share(record: Mapping[str, Any]) -> float:
    """
    The share of the fee that is taken off what a night avoids.

    Parameters
    ----------
    record
        As in ``run.json``: what its policy row says goes before the objective.

    Examples
    --------
    >>> objective = {"fee_share": "1"}
    >>> fee_share({"config": {"objective": objective}, "policy": {}})
    1.0
    >>> dated = {"objective": {"fee_share": "0.5"}}
    >>> fee_share({"config": {"objective": objective}, "policy": dated})
    0.5
    """
    dated = (record["policy"].get("objective") or {}).get("fee_share")
    return float(record["config"]["objective"]["fee_share"] if dated is None else dated)


def expected_words(record: Mapping[str, Any]) -> str:
    """
    Say what a night avoids after its fees, or what it costs more than it avoids.

    Parameters
    ----------
    record
        As in ``run.json``.

    Examples
    --------
    >>> def words(share="1", total="3", **found):
    ...     summary = {"fees_cny": {"total": total}, **found}
    ...     config = {"objective": {"fee_share": share}}
    ...     return expected_words({"summary": summary, "config": config, "policy": {}})
    >>> words(saving_cny=9.0)
    'avoids 9.00 CNY of expected harm, after fees of 3.00 CNY'
    >>> words(saving_cny=9.0, share="0.5")
    'avoids 9.00 CNY of expected harm, after 50% of the fees of 3.00 CNY'
    >>> words(saving_cny=9.0, share="0")
    'avoids 9.00 CNY of expected harm, before fees of 3.00 CNY'
    >>> words(saving_cny=9.0, total="0")
    'avoids 9.00 CNY of expected harm, and no fee is paid'
    >>> words(saving_cny=-9.0)
    'costs 9.00 CNY more in fees than it avoids, to measure'
    >>> words(saving_cny=9.0, draw={"mean_saving_cny": -2.0})
    "costs 2.00 CNY more in fees and harm than it avoids by the model's mean, to learn"
    """
    summary = record["summary"]
    saving = by_mean(summary)["saving_cny"]
    if saving >= 0:
        return f"avoids {saving:,.2f} CNY of expected harm, {_after_fees(record)}"
    if "draw" in summary:
        lost = f"{-saving:,.2f} CNY more in fees and harm than it avoids"
        return f"costs {lost} by the model's mean, to learn"
    return f"costs {-saving:,.2f} CNY more in fees than it avoids, to measure"


def _after_fees(record: Mapping[str, Any]) -> str:
    """What of its fees is off a night's saving already."""
    total, share = float(record["summary"]["fees_cny"]["total"]), fee_share(record)
    if not total:
        return "and no fee is paid"
    fees = f"fees of {total:,.2f} CNY"
    if not share:
        return f"before {fees}"
    return f"after {fees}" if share == 1 else f"after {100 * share:.7g}% of the {fees}"
