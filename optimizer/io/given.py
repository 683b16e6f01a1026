import pathlib
exec(open("/tmp/waveB.py").read().split("# --- build")[0])
P="optimizer/solvers/kernels/choose.py"
sub(P,("""@kernel
def choose(  # noqa: C901 - one pass, branch by branch
""","""@inner_kernel
def add_pair(first, second, pairs, num_pairs):
    \"\"\"Write a pair where there is room for one; how many there are then.\"\"\"
    if num_pairs < len(pairs):
        pairs[num_pairs, 0] = first
        pairs[num_pairs, 1] = second
        num_pairs += 1
    return num_pairs


@inner_kernel
def lanes_at_cut(best, pick, count, inside, outside, option_lane):
    \"\"\"
    Lanes of the first of ``count`` orders at the cut and of the last beyond it.

    -1 where there is none. They stand for all that are worth as much: which of these
    would move is not known.
    \"\"\"
    lane_inside, lane_outside = -1, -1
    for place in range(count):
        if best[place] == inside and lane_inside < 0:
            lane_inside = option_lane[pick[place]]
        if best[place] == outside:
            lane_outside = option_lane[pick[place]]
    return lane_inside, lane_outside


@inner_kernel
def add_near_options(
    order, taken, least, fellow, option_start, option_lane, option_saving, price,
    pairs, num_pairs,
):
    \"\"\"
    Pair a lane with those where an order's reduced saving is at least so much.

    The lane ``taken`` is left out. How many pairs there are then.
    \"\"\"
    for option in range(option_start[order], option_start[order + 1]):
        lane = option_lane[option]
        if lane != taken and option_saving[option] - price[lane] >= least:
            num_pairs = add_pair(fellow, lane, pairs, num_pairs)
    return num_pairs


@kernel
def choose(
"""),("""        lane_inside, lane_outside = -1, -1
        if outside > 0:
            for place in range(last - first):
                if best[place] == inside and lane_inside < 0:
                    lane_inside = option_lane[pick[place]]
                if best[place] == outside:
                    lane_outside = option_lane[pick[place]]
        for order""","""        lane_inside, lane_outside = -1, -1
        # Where the cap does not bind, orders compete with no other order.
        if outside > 0:
            lane_inside, lane_outside = lanes_at_cut(
                best, pick, last - first, inside, outside, option_lane
            )
        for order"""),("""                for option in range(option_start[order], option_start[order + 1]):
                    lane = option_lane[option]
                    if inside - option_saving[option] + price[lane] <= window:
                        if num_pairs < len(pairs):
                            pairs[num_pairs, 0] = lane_inside
                            pairs[num_pairs, 1] = lane
                            num_pairs += 1
                continue
""","""                num_pairs = add_near_options(
                    order=order,
                    taken=-1,
                    least=inside - window,
                    fellow=lane_inside,
                    option_start=option_start,
                    option_lane=option_lane,
                    option_saving=option_saving,
                    price=price,
                    pairs=pairs,
                    num_pairs=num_pairs,
                )
                continue
"""),("""            if second[order - first] >= outside:
                for option in range(option_start[order], option_start[order + 1]):
                    other = option_lane[option]
                    reduced = option_saving[option] - price[other]
                    if other != lane and top - reduced <= window:
                        if num_pairs < len(pairs):
                            pairs[num_pairs, 0] = lane
                            pairs[num_pairs, 1] = other
                            num_pairs += 1
            elif top - outside <= window and num_pairs < len(pairs):
                pairs[num_pairs, 0] = lane
                pairs[num_pairs, 1] = lane_outside
                num_pairs += 1
""","""            # Dearer, it would go to its second lane, or leave to the first outside.
            if second[order - first] >= outside:
                num_pairs = add_near_options(
                    order=order,
                    taken=lane,
                    least=top - window,
                    fellow=lane,
                    option_start=option_start,
                    option_lane=option_lane,
                    option_saving=option_saving,
                    price=price,
                    pairs=pairs,
                    num_pairs=num_pairs,
                )
            elif top - outside <= window:
                num_pairs = add_pair(lane, lane_outside, pairs, num_pairs)
"""),("""@kernel
def check(  # noqa: C901 - likewise
""","""@inner_kernel
def weakest_chosen(chosen, start, end, option_lane, option_saving, price, highest):
    \"\"\"The least reduced saving below a highest of some chosen options, and which.\"\"\"
    weakest, weakest_option = highest, np.int64(-1)
    for spot in range(start, end):
        option = chosen[spot]
        reduced = option_saving[option] - price[option_lane[option]]
        if reduced < weakest:
            weakest, weakest_option = reduced, option
    return weakest, weakest_option


@inner_kernel
def raise_needed(
    order, weakest, option_start, option_lane, option_saving, price, needed, wanting
):
    \"\"\"Raise the prices that lanes need for an unchosen order to want none of them.\"\"\"
    for option in range(option_start[order], option_start[order + 1]):
        lane = option_lane[option]
        least = option_saving[option] - weakest
        if least > max(price[lane], needed[lane]):
            needed[lane] = least
            wanting[lane] = order


@kernel
def check(
"""),("""        weakest, weakest_option = np.int64(0), np.int64(-1)
        if end - place == room:
            weakest = HIGH
        strongest = np.int64(0)
        for spot in range(place, end):
            option = chosen[spot]
            reduced = option_saving[option] - price[option_lane[option]]
            if reduced < weakest:
                weakest, weakest_option = reduced, option
""","""        # While a cap has room, an order need only save something to come in.
        weakest, weakest_option = weakest_chosen(
            chosen=chosen,
            start=place,
            end=end,
            option_lane=option_lane,
            option_saving=option_saving,
            price=price,
            highest=HIGH if end - place == room else np.int64(0),
        )
        strongest = np.int64(0)
"""),("""            for option in range(option_start[order], option_start[order + 1]):
                lane = option_lane[option]
                least = option_saving[option] - weakest
                if least > max(price[lane], needed[lane]):
                    needed[lane] = least
                    wanting[lane] = order
        order = first
""","""            raise_needed(
                order=order,
                weakest=weakest,
                option_start=option_start,
                option_lane=option_lane,
                option_saving=option_saving,
                price=price,
                needed=needed,
                wanting=wanting,
            )
        order = first
"""),("import kernel\n","import inner_kernel, kernel\n"))
