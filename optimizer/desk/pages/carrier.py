"""One carrier: its places, their use and price, over nights; the promises it kept."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from optimizer.build.model_file import load_model
from optimizer.contracts.tables import LANE_RESULTS
from optimizer.desk.asked import day_of, part_of, text_of
from optimizer.desk.charts import months, shades
from optimizer.desk.listing import Listing
from optimizer.desk.problems import PageProblem
from optimizer.desk.published import table_of
from optimizer.desk.render import page_text
from optimizer.errors import OptimizerError
from optimizer.io.kept_inputs import found_model
from optimizer.io.published_tables import read_table
from optimizer.report.figures import Use, capacity_of, with_values
from optimizer.report.lines import line

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from starlette.requests import Request

    from optimizer.build.learned_model import Promise
    from optimizer.desk.desk import Desk
    from optimizer.desk.published import OpenNight

#: Nights that a carrier's page looks back at, and carriers of its list.
NUM_NIGHTS, NUM_CARRIERS = 31, 500
#: Columns of its places that they may be sorted by.
SORTABLE = ("region_id", "outlet_id", "slots", "used", "slack", "around", "alone")


@dataclass(frozen=True, slots=True)
class CarrierNight:
    """What a carrier had and used on a night."""

    day: dt.date
    use: Use


def carrier_page(desk: Desk, request: Request) -> str:
    """
    Show a carrier, or the carriers of the newest night.

    Raises
    ------
    PageProblem
        When there is no such carrier, or the query is wrong.
    """
    import polars as pl

    given = request.query_params
    carrier, asked = text_of(given, "id"), text_of(given, "night")
    night = desk.nights.newest() if asked is None else desk.nights.open(day_of(asked))
    lanes = _lanes(night)
    if carrier is None:
        known = capacity_of(lanes).carriers
        return page_text(
            request,
            "carriers.html.j2",
            carriers=dict([*known.items()][:NUM_CARRIERS]),
            day=night.day.isoformat(),
        )
    own = lanes.filter(pl.col("carrier_id") == carrier)
    if own.is_empty():
        raise PageProblem(404, "NO_CARRIER", carrier=carrier, day=night.day.isoformat())
    part = part_of(given, SORTABLE)
    key, is_descending = part.sort or "around", part.is_descending or part.sort is None
    ordered = own.sort(
        [key, "region_id", "outlet_id", "service_date"],
        descending=[is_descending, False, False, False],
        nulls_last=True,
    )
    rows = ordered.slice(part.offset, part.size).to_dicts()
    nights = _nights(desk, carrier)
    shares = {one.day: one.use.used / max(1, one.use.slots) for one in nights}
    return page_text(
        request,
        "carrier.html.j2",
        carrier=carrier,
        day=night.day.isoformat(),
        use=capacity_of(own).carriers[carrier],
        nights=nights,
        months=months(max(shares), 2) if shares else [],
        by_day={one.day: one for one in nights},
        shades=shades(shares),
        line=line([*shares], [*shares.values()], (0.0, 1.0)),
        promises=promises_of(night, carrier),
        listing=Listing(rows, own.height, part, SORTABLE, {"id": carrier}),
    )


def promises_of(night: OpenNight, carrier: str) -> list[Promise]:
    """What the night's model knows of a carrier's promises; none: it has no model."""
    try:
        folder = found_model(night.folder, night.record)
        model = None if folder is None else load_model(folder).model
    except (OptimizerError, OSError):
        return []
    known = [] if model is None else model.promises
    return [one for one in known if one.carrier_id == carrier]


@lru_cache(maxsize=32 * NUM_NIGHTS)
def _use(folder: Path, carrier: str) -> Use | None:
    """What a carrier had and used on a night; versions of nights never change."""
    import polars as pl

    lanes = read_table(folder, LANE_RESULTS.file).filter(
        pl.col("carrier_id") == carrier
    )
    if lanes.is_empty():
        return None
    valued = with_values(lanes, "one_more_around_cny")
    return capacity_of(valued).carriers[carrier]


def _lanes(night: OpenNight) -> pl.DataFrame:
    lanes = table_of(night, LANE_RESULTS.file)
    return with_values(lanes, "one_more_around_cny")


def _nights(desk: Desk, carrier: str) -> list[CarrierNight]:
    """The carrier's use on the newest nights that it has lanes in, by date."""
    found = []
    for day in [*desk.nights.folders()][-NUM_NIGHTS:]:
        try:
            use = _use(desk.nights.open(day).folder, carrier)
        except (PageProblem, OptimizerError):
            continue
        if use is not None:
            found.append(CarrierNight(day, use))
    return found
