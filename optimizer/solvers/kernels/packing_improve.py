"""
Kernels that build and improve a plan where each option uses up several limits.

Merchants, lanes and side rows are all *limits* here; an option's *uses* are the limits
that it counts in, with amounts. ``night`` is a
:class:`~optimizer.solvers.packing.local_search.PackingNight`, ``state`` a
:class:`~optimizer.solvers.packing.local_search.PackingPlan` that is changed in place.
The gain of a change is a vector: units of hard floors and pins by rank, then micro-CNY;
it is compared lexicographically.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, kernel

#: Members of a limit that are looked at for one that could leave.
MOST_MEMBERS = 96
#: Options of a limit that are looked at, and tried, where something has left.
MOST_LOOKS, MOST_FILLS = 120, 16
#: Changes in a move, at most.
MOST_CHANGES = 64


@bare_kernel
def shortfall_gain(night, limit, before, after, gain):
    """
    Add the gain for a limit's floor from a change of its use.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    limit
        The limit.
    before, after
        Use of the limit before and after the change.
    gain
        ``(num_ranks + 1,) int64``: what the change gains is added.
    """
    low = night.low[limit]
    change = max(low - before, 0) - max(low - after, 0)
    if change != 0:
        if night.rank[limit] >= 0:
            gain[night.rank[limit]] += change
        else:
            gain[-1] += change * night.penalty[limit]


@bare_kernel
def take(night, state, option, gain):
    """
    Choose an option for its order, which has none.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    state
        A :class:`~optimizer.solvers.packing.local_search.PackingPlan`, changed in
        place.
    option
        The option.
    gain
        ``(num_ranks + 1,) int64``: what the change gains is added.
    """
    order = night.option_order[option]
    state.pick[order] = option
    gain[-1] += night.option_saving[option]
    if night.pin_rank[order] >= 0:
        gain[night.pin_rank[order]] += 1
    for use in range(night.use_start[option], night.use_start[option + 1]):
        limit = night.use_limit[use]
        before = state.used[limit]
        state.used[limit] = before + night.use_amount[use]
        shortfall_gain(night, limit, before, state.used[limit], gain)
        following = state.head[limit]
        state.after[use] = following
        state.before[use] = -1
        if following >= 0:
            state.before[following] = use
        state.head[limit] = use


@bare_kernel
def drop(night, state, option, gain):
    """
    Take back the chosen option of an order.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    state
        A :class:`~optimizer.solvers.packing.local_search.PackingPlan`, changed in
        place.
    option
        The option.
    gain
        ``(num_ranks + 1,) int64``: what the change gains is added.
    """
    order = night.option_order[option]
    state.pick[order] = -1
    gain[-1] -= night.option_saving[option]
    if night.pin_rank[order] >= 0:
        gain[night.pin_rank[order]] -= 1
    for use in range(night.use_start[option], night.use_start[option + 1]):
        limit = night.use_limit[use]
        before = state.used[limit]
        state.used[limit] = before - night.use_amount[use]
        shortfall_gain(night, limit, before, state.used[limit], gain)
        following, leading = state.after[use], state.before[use]
        if following >= 0:
            state.before[following] = leading
        if leading >= 0:
            state.after[leading] = following
        else:
            state.head[limit] = following


@kernel
def take_all(night, state, chosen):
    """Choose options that are known to fit together."""
    gain = np.zeros(night.num_ranks[0] + 1, np.int64)
    for option in chosen:
        take(night, state, option, gain)


@bare_kernel
def fits(night, state, option):
    """Whether all limits of an option have room for it."""
    for use in range(night.use_start[option], night.use_start[option + 1]):
        limit = night.use_limit[use]
        if state.used[limit] + night.use_amount[use] > night.high[limit]:
            return False
    return True


@bare_kernel
def sign_of(gain):
    """Whether a gain is above 0, 0 or below: its first part that is not 0 decides."""
    for part in gain:
        if part > 0:
            return 1
        if part < 0:
            return -1
    return 0


@kernel
def accept_in_turn(night, state, turn):
    """Choose options in turn if their order has none, they fit and they gain."""
    gain = np.zeros(night.num_ranks[0] + 1, np.int64)
    for option in turn:
        if state.pick[night.option_order[option]] >= 0:
            continue
        if not fits(night, state, option):
            continue
        gain[:] = 0
        take(night, state, option, gain)
        if sign_of(gain) <= 0:
            drop(night, state, option, gain)


@bare_kernel
def weakest_member(night, state, limit, need, order):
    """
    The chosen option of a limit that costs least to give up for some room.

    By its margin for each unit that is needed; never that of ``order``. -1 where
    there is none.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    state
        A :class:`~optimizer.solvers.packing.local_search.PackingPlan`, changed in
        place.
    limit
        The limit.
    need
        Units that are missing in the limit.
    order
        Order whose option is never given up.
    """
    best, least, looked = np.int64(-1), 0.0, 0
    use = state.head[limit]
    while use >= 0 and looked < MOST_MEMBERS:
        option = night.use_option[use]
        if night.option_order[option] != order:
            freed = min(night.use_amount[use], need)
            cost = night.margin[option] / freed
            is_tie = cost == least and option < best
            if best < 0 or cost < least or is_tie:
                best, least = option, cost
        use = state.after[use]
        looked += 1
    return best


@kernel
def fill_limit(night, state, limit, order, changes, num_changes, gain):
    """
    Choose options of a limit that has room again; notes them as changes.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    state
        A :class:`~optimizer.solvers.packing.local_search.PackingPlan`, changed in
        place.
    limit
        The limit.
    order
        Order that gets no option here.
    changes
        ``(m,) int64``: filled with the changes made, ``-1 - option`` where one was
        dropped.
    num_changes
        Changes noted so far.
    gain
        ``(num_ranks + 1,) int64``: what the change gains is added.
    """
    first, last = night.list_start[limit], night.list_start[limit + 1]
    trial = np.zeros(len(gain), np.int64)
    num_tries = 0
    for place in range(first, min(last, first + MOST_LOOKS)):
        if num_changes == len(changes) or num_tries == MOST_FILLS:
            break
        option = night.listed[place]
        mine = night.option_order[option]
        if state.pick[mine] >= 0 or mine == order:
            continue
        num_tries += 1
        if not fits(night, state, option):
            continue
        trial[:] = 0
        take(night, state, option, trial)
        if sign_of(trial) <= 0:
            drop(night, state, option, trial)
            continue
        gain += trial
        changes[num_changes] = option
        num_changes += 1
    return num_changes


@bare_kernel
def make_room(night, state, option, changes, num_changes, gain):
    """
    Drop chosen options until one fits; the number of changes, or -1 where it never
    fits.

    A dropped option is noted as ``-1 - option``.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    state
        A :class:`~optimizer.solvers.packing.local_search.PackingPlan`, changed in
        place.
    option
        The option.
    changes
        ``(m,) int64``: filled with the changes made, ``-1 - option`` where one was
        dropped.
    num_changes
        Changes noted so far.
    gain
        ``(num_ranks + 1,) int64``: what the change gains is added.
    """
    order = night.option_order[option]
    for use in range(night.use_start[option], night.use_start[option + 1]):
        limit, amount = night.use_limit[use], night.use_amount[use]
        if amount > night.high[limit]:
            return -1
        need = state.used[limit] + amount - night.high[limit]
        while need > 0:
            weakest = weakest_member(night, state, limit, need, order)
            if weakest < 0 or num_changes == len(changes):
                return -1
            drop(night, state, weakest, gain)
            changes[num_changes] = -1 - weakest
            num_changes += 1
            need = state.used[limit] + amount - night.high[limit]
    return num_changes


@bare_kernel
def refill(night, state, changes, num_changes, gain):
    """
    Offer the room of dropped options to others.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    state
        A :class:`~optimizer.solvers.packing.local_search.PackingPlan`, changed in
        place.
    changes
        ``(m,) int64``: changes made so far; new ones are appended.
    num_changes
        Changes noted so far.
    gain
        ``(num_ranks + 1,) int64``: what the change gains is added.
    """
    num_dropped = num_changes
    order = np.int64(-1)
    for place in range(num_dropped):
        dropped = -1 - changes[place]
        if dropped < 0:
            order = night.option_order[changes[place]]
    for place in range(num_dropped):
        dropped = -1 - changes[place]
        if dropped < 0:
            continue
        for use in range(night.use_start[dropped], night.use_start[dropped + 1]):
            limit = night.use_limit[use]
            if state.used[limit] < night.high[limit]:
                num_changes = fill_limit(
                    night=night,
                    state=state,
                    limit=limit,
                    order=order,
                    changes=changes,
                    num_changes=num_changes,
                    gain=gain,
                )
    return num_changes


@bare_kernel
def insert(night, state, option, changes, gain):
    """
    Choose an option, drop others to make room for it, and fill the room left over.

    Undone where it does not gain.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    state
        A :class:`~optimizer.solvers.packing.local_search.PackingPlan`, changed in
        place.
    option
        The option.
    changes
        ``(m,) int64``: filled with the changes made, ``-1 - option`` where one was
        dropped.
    gain
        ``(num_ranks + 1,) int64``: set to what the insertion gains.

    Returns
    -------
    int
        How many changes were made where it gains and was kept; else 0.
    """
    gain[:] = 0
    num_changes = 0
    order = night.option_order[option]
    present = state.pick[order]
    if present >= 0:
        drop(night, state, present, gain)
        changes[0] = -1 - present
        num_changes = 1
    before = num_changes
    num_changes = make_room(night, state, option, changes, num_changes, gain)
    is_stuck = num_changes < 0
    if is_stuck:
        num_changes = before
        while num_changes < len(changes) and changes[num_changes] < 0:
            num_changes += 1
    elif num_changes < len(changes):
        take(night, state, option, gain)
        changes[num_changes] = option
        num_changes = refill(night, state, changes, num_changes + 1, gain)
    if not is_stuck and sign_of(gain) > 0:
        return num_changes
    for place in range(num_changes - 1, -1, -1):
        change = changes[place]
        if change >= 0:
            drop(night, state, change, gain)
        else:
            take(night, state, -1 - change, gain)
    return 0


@bare_kernel
def has_moved(night, moved, option, since):
    """
    Whether anything that an option uses has changed since it was tried.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    moved
        ``(num_limits + 1,) int64``: when each limit was last changed.
    option
        The option.
    since
        Count of insertions when the option was last tried.
    """
    for use in range(night.use_start[option], night.use_start[option + 1]):
        if moved[night.use_limit[use]] >= since:
            return True
    return False


@kernel
def improve(night, state, turn, moved, tried):
    """
    Try to insert options in turn; returns how many were.

    The state keeps every limit at any moment. ``moved`` notes when each limit was last
    changed, ``tried`` when each option was tried in vain, both as the count of options
    inserted before, which is the last of ``moved``.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.local_search.PackingNight`.
    state
        A :class:`~optimizer.solvers.packing.local_search.PackingPlan`, changed in
        place.
    turn
        ``(k,) int64``: options in the order in which they are tried.
    moved
        ``(num_limits + 1,) int64``: when each limit was last changed; last, the count
        of options inserted.
    tried
        ``(num_options,) int64``: when each option was last tried in vain.
    """
    changes = np.zeros(MOST_CHANGES, np.int64)
    gain = np.zeros(night.num_ranks[0] + 1, np.int64)
    begun = moved[-1]
    for option in turn:
        if state.pick[night.option_order[option]] == option:
            continue
        if not has_moved(night, moved, option, tried[option]):
            continue
        changes[:] = 0
        num_changes = insert(night, state, option, changes, gain)
        if num_changes == 0:
            tried[option] = moved[-1] + 1
            continue
        moved[-1] += 1
        for place in range(num_changes):
            change = max(changes[place], -1 - changes[place])
            for use in range(night.use_start[change], night.use_start[change + 1]):
                moved[night.use_limit[use]] = moved[-1]
    return moved[-1] - begun
