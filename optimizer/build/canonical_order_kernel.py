"""Compiled loops that group orders by merchant and options by order."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def group_orders(status, is_open, merchant, start, grouped):
    """List the open orders by merchant; ``start`` is where each merchant's begin."""
    place = start.copy()
    for order in range(len(status)):
        if status[order] == is_open:
            group = merchant[order]
            grouped[place[group]] = order
            place[group] += 1


@njit(cache=True, nogil=True)
def sort_groups(first_merchant, last_merchant, start, key, grouped, place):
    """Sort each merchant's orders by key, and note where each order went."""
    for merchant in range(first_merchant, last_merchant):
        first, last = start[merchant], start[merchant + 1]
        if first == last:
            continue
        mine = grouped[first:last].copy()
        turn = np.argsort(key[mine])
        for at in range(last - first):
            order = mine[turn[at]]
            grouped[first + at] = order
            place[order] = first + at


@njit(cache=True, nogil=True)
def count_options(order, place, counts):
    """Count the options of each order, at the order's place."""
    for option in range(len(order)):
        counts[place[order[option]]] += 1


@njit(cache=True, nogil=True)
def place_options(order, lane, saving, place, next_option, placed_lane, placed_saving):
    """
    Put options to their orders, by lane within each.

    ``next_option`` starts as where each order's options begin, and is used up.
    """
    for option in range(len(order)):
        target = place[order[option]]
        at = next_option[target]
        next_option[target] = at + 1
        placed_lane[at] = lane[option]
        placed_saving[at] = saving[option]


@njit(cache=True, nogil=True)
def sort_options(option_start, placed_lane, placed_saving):
    """Sort each order's few options by lane."""
    for order in range(len(option_start) - 1):
        first = option_start[order]
        for at in range(first + 1, option_start[order + 1]):
            lane, saving = placed_lane[at], placed_saving[at]
            hole = at
            while hole > first and placed_lane[hole - 1] > lane:
                placed_lane[hole] = placed_lane[hole - 1]
                placed_saving[hole] = placed_saving[hole - 1]
                hole -= 1
            placed_lane[hole] = lane
            placed_saving[hole] = saving
