"""What everybody sees of a world's parcels, as numbers, and what their harm costs."""

from __future__ import annotations

import numpy as np
import polars as pl

#: By harm, CNY, and the column of the outcomes that says whether it happened.
COSTS = {"complaint": 30.0, "return": 18.0}
OUTCOME_OF = {"complaint": "complaint", "return": "logistics_return"}
SCORES = ["complaint_prob_standard", "return_prob_standard"]
WORDS = ("carrier_id", "category_id")


class Columns:
    """Numbers of the visible columns: dummies and scaled numbers, as first seen."""

    def __init__(self, frame: pl.DataFrame, *, extra: tuple[str, ...] = ()) -> None:
        self.numbers = [
            c
            for c in (
                *SCORES,
                "order_value_cny",
                "take_up",
                "station_distance_m",
                *extra,
            )
            if c in frame.columns and frame[c].null_count() == 0
        ]
        self.levels = {
            c: sorted(frame[c].drop_nulls().unique().to_list())
            for c in WORDS
            if c in frame.columns and frame[c].null_count() == 0
        }
        raw = self._numbers(frame)
        self.center, self.spread = raw.mean(axis=0), raw.std(axis=0) + 1e-9

    def _numbers(self, frame: pl.DataFrame) -> np.ndarray:
        found = []
        for name in self.numbers:
            value = frame[name].cast(float).to_numpy()
            if name in SCORES:
                value = np.clip(value, 1e-5, 1 - 1e-5)
                value = np.log(value / (1 - value))
            elif name not in ("take_up", "kept"):
                value = np.log1p(value)
            found.append(value)
        return np.column_stack(found)

    def dense(self, frame: pl.DataFrame) -> np.ndarray:
        """Dummies and standardised numbers."""
        parts = [(self._numbers(frame) - self.center) / self.spread]
        for name, levels in self.levels.items():
            codes = self._codes(frame, name, levels)
            parts.append(codes[:, None] == np.arange(len(levels)))
        return np.hstack(parts).astype(float)

    def coded(self, frame: pl.DataFrame) -> np.ndarray:
        """Numbers, and levels as codes: for trees."""
        parts = [self._numbers(frame)]
        parts += [self._codes(frame, c, v)[:, None] for c, v in self.levels.items()]
        return np.hstack(parts).astype(float)

    @property
    def categorical(self) -> list[int]:
        """Places of the codes."""
        return list(range(len(self.numbers), len(self.numbers) + len(self.levels)))

    @staticmethod
    def _codes(frame: pl.DataFrame, name: str, levels: list[str]) -> np.ndarray:
        place = {level: at for at, level in enumerate(levels)}
        found = frame[name].replace_strict(place, default=None, return_dtype=pl.Int64)
        return found.fill_null(-1).to_numpy()
