-- 8. Both bounds, from the plan and the published prices alone.
--
-- The plan is worth its savings less the penalties of floors that it misses. No plan
-- is worth more than caps, slots and limits at their prices, and what each order is
-- worth above all the prices that its best way is charged (at least nothing, unless it
-- is pinned and chosen). Where orders have prices of their own the second bound holds:
-- lanes that hold no other lane are then knapsacks, which optimizer verify solves by
-- itself.

CREATE TEMP TABLE order_price AS
SELECT s.number, p.order_id, micro_of(p.price_cny) AS price
FROM order_prices_said AS p
LEFT JOIN (SELECT number, order_id FROM decision WHERE kept_out IS NULL) AS s USING (order_id);
SET VARIABLE by_lanes = (SELECT prices_orders() AND getvariable('is_packing'));

-- What a way is charged: each lane over its place, each limit over its cell, its
-- merchant's limits, all by what it counts for. `caps` and `budgets` are parts of it.
CREATE TEMP TABLE parent AS
SELECT DISTINCT lane, lag(lane) OVER (PARTITION BY place ORDER BY depth) AS above FROM path;
CREATE TEMP TABLE has_child AS SELECT DISTINCT above AS lane FROM parent WHERE above IS NOT NULL;
CREATE TEMP TABLE place_price AS
SELECT p.place, sum(s.part_price)::HUGEINT AS lanes,
    sum(CASE WHEN h.lane IS NOT NULL THEN s.part_price ELSE 0 END)::HUGEINT AS outer_lanes,
    min(s.room - u.explored) AS room,
    min(s.room - u.used) AS room_left,
    max_by(p.lane, p.depth) AS deepest
FROM path AS p
JOIN lane_said AS s USING (lane)
JOIN lane_used AS u USING (lane)
LEFT JOIN has_child AS h USING (lane)
GROUP BY p.place;

CREATE TEMP TABLE limit_price AS
SELECT id, weight, kind IN ('owner_cap', 'fairness') AS is_cap, kind = 'subsidy' AS is_budget,
    part_price AS price,
    CASE WHEN can_bind THEN coalesce(high, 1152921504606846976) END AS high,
    CASE WHEN can_bind THEN coalesce(high, 1152921504606846976) - used END AS room_left
FROM limit_said WHERE id IS NOT NULL;
CREATE TEMP TABLE cell_price AS
SELECT i.cell,
    coalesce(sum(price) FILTER (weight = 'load'), 0)::HUGEINT AS by_load,
    coalesce(sum(price) FILTER (weight = 'one' AND NOT is_cap), 0)::HUGEINT AS by_one,
    coalesce(sum(price) FILTER (is_cap), 0)::HUGEINT AS caps,
    coalesce(sum(greatest(price, 0)) FILTER (is_cap), 0)::HUGEINT AS cap_ceilings,
    min(high) FILTER (weight = 'load') AS load_room,
    min(high) FILTER (weight = 'one') AS one_room,
    min(room_left) FILTER (weight = 'load') AS load_left,
    min(room_left) FILTER (weight = 'one' AND NOT is_cap) AS one_left,
    min(room_left) FILTER (is_cap) AS cap_left
FROM in_cell AS i JOIN limit_price USING (id) GROUP BY i.cell;
CREATE TEMP TABLE merchant_price AS
SELECT i.merchant_id,
    coalesce(sum(price), 0)::HUGEINT AS caps,
    coalesce(sum(greatest(price, 0)), 0)::HUGEINT AS cap_ceilings,
    min(high) AS one_room,
    min(room_left) AS cap_left
FROM of_merchant AS i JOIN limit_price USING (id) GROUP BY i.merchant_id;
SET VARIABLE budget_price = (
    SELECT coalesce(sum(price), 0) FROM limit_price WHERE is_budget);
SET VARIABLE budget_room = (SELECT min(high) FROM limit_price WHERE is_budget);
SET VARIABLE budget_left = (SELECT min(room_left) FROM limit_price WHERE is_budget);

-- What ways are charged for resources, and whether they fit into those rows.
CREATE TEMP TABLE resource_price AS
SELECT e.number, e.carrier_id, sum(e.taken * l.price)::HUGEINT AS rows,
    bool_and(e.taken <= coalesce(l.high, e.taken)) AS has_room,
    min(l.high) AS least_high,
    bool_and(e.taken <= coalesce(l.room_left, e.taken)) AS fits
FROM resource_entry AS e JOIN limit_price AS l USING (id)
GROUP BY e.number, e.carrier_id;

-- Every way of every order that the solver had, at the prices; `nets` are what is left
-- of the saving: after all charges, without those of caps and budgets, after those of
-- caps alone, and without that of the budget.
CREATE TEMP TABLE priced AS
SELECT w.number, w.merchant_id, w.saving, w.load, w.place,
    w.saving - w.load * p.lanes AS after_lanes,
    w.load <= p.room AS has_room
FROM way AS w
JOIN place_price AS p USING (place)
WHERE NOT getvariable('is_packing');
CREATE TEMP TABLE charged AS
SELECT w.number, w.merchant_id, w.saving, w.place,
    no_heavier(w.load * c.part, least(p.room, coalesce(l.load_room, p.room))) AS units,
    units * p.lanes AS lanes,
    units * p.outer_lanes AS outer_lanes,
    units * coalesce(l.by_load, 0) + coalesce(l.by_one, 0)
        + coalesce(e.rows, 0) AS rows,
    coalesce(l.caps, 0) + coalesce(m.caps, 0) AS caps,
    coalesce(l.cap_ceilings, 0) + coalesce(m.cap_ceilings, 0) AS cap_ceilings,
    c.part * getvariable('budget_price') AS budget,
    units <= p.room
        AND units <= coalesce(l.load_room, units)
        AND 1 <= coalesce(l.one_room, 1) AND 1 <= coalesce(m.one_room, 1)
        AND coalesce(e.has_room, true)
        AND c.part <= coalesce(getvariable('budget_room'), c.part) AS has_room,
    c.part > coalesce(getvariable('budget_room'), c.part) AS is_beyond_budget,
    p.room >= 1 AND coalesce(l.load_room, 1) >= 1
        AND 2 - units <= coalesce(least(l.one_room, m.one_room, e.least_high), 1)
        AND c.part <= coalesce(getvariable('budget_room'), c.part)
            + units - 1 AS would_fit,
    units <= p.room_left
        AND units <= coalesce(l.load_left, units)
        AND 1 <= coalesce(l.one_left, 1) AND coalesce(e.fits, true) AS fits_rows,
    1 <= coalesce(l.cap_left, 1) AND 1 <= coalesce(m.cap_left, 1) AS fits_caps,
    c.part <= coalesce(getvariable('budget_left'), c.part) AS fits_budget
FROM way AS w
JOIN place_price AS p USING (place)
JOIN counting AS c USING (merchant_id)
LEFT JOIN cell_price AS l USING (cell)
LEFT JOIN merchant_price AS m USING (merchant_id)
LEFT JOIN resource_price AS e USING (number, carrier_id)
WHERE getvariable('is_packing');

CREATE TEMP TABLE best AS
SELECT number, max(saving) AS saving, max(after_lanes) AS after_all,
    bool_or(has_room) AS has_room,
    NULL::HUGEINT AS without_caps, NULL::HUGEINT AS after_caps, NULL::HUGEINT AS without_budget,
    NULL::BOOLEAN AS lacks_rows, NULL::BOOLEAN AS lacks_caps, NULL::BOOLEAN AS lacks_budget,
    false AS is_beyond_budget
FROM priced GROUP BY number
UNION ALL
SELECT number, max(saving), max(saving - lanes - rows - caps - budget), bool_or(has_room),
    max(saving - lanes - rows - caps + cap_ceilings), max(saving - cap_ceilings),
    max(saving - lanes - rows - caps),
    NOT bool_or(fits_rows), NOT bool_or(fits_caps), NOT bool_or(fits_budget),
    bool_and(is_beyond_budget)
FROM charged GROUP BY number;

CREATE TEMP TABLE kept_pin AS
SELECT number FROM decision AS s SEMI JOIN chosen AS c USING (number)
WHERE s.is_pinned AND getvariable('is_packing');

SET VARIABLE penalties = (
    SELECT coalesce(sum((low - used)::HUGEINT * penalty), 0) FROM limit_said
    WHERE can_bind AND penalty > 0 AND used < low
);
SET VARIABLE planned = (SELECT coalesce(sum(saving::HUGEINT), 0) FROM chosen);
SET VARIABLE primal_bound = getvariable('planned') - getvariable('penalties');
-- Caps and limits at their prices; a floor that is missed counts as far as it is met.
SET VARIABLE dual_of_limits = (
    SELECT coalesce(sum((c.cap - u.explored)::HUGEINT * c.price), 0)
    FROM cap_said AS c JOIN cap_used AS u USING (merchant_id)
) + (
    SELECT coalesce(sum(CASE
        WHEN part_price > 0 THEN high::HUGEINT * part_price
        WHEN penalty IS NULL THEN least(low, used)::HUGEINT * part_price
        ELSE low::HUGEINT * part_price
    END), 0) FROM limit_said WHERE can_bind AND part_price <> 0
);
SET VARIABLE dual_of_orders = (
    SELECT coalesce(sum((s.room - u.explored)::HUGEINT * s.part_price), 0)
    FROM lane_said AS s JOIN lane_used AS u USING (lane)
) + (
    SELECT coalesce(sum(CASE
        WHEN k.number IS NULL THEN greatest(0, b.after_all - c.price)
        ELSE b.after_all - c.price
    END::HUGEINT), 0)
    FROM best AS b
    JOIN decision AS d USING (number)
    JOIN cap_said AS c ON c.merchant_id = d.true_merchant_id
    LEFT JOIN kept_pin AS k USING (number)
    WHERE NOT d.is_in_pool
);
-- What the second bound is made of: for each lane the ways that end there, with what
-- they are worth above every other price.
CREATE TEMP TABLE item AS
SELECT p.deepest AS lane, w.units AS load,
    w.saving - w.outer_lanes - w.rows - w.caps - w.budget - c.price
        - coalesce(o.price, 0) AS value
FROM charged AS w
JOIN place_price AS p USING (place)
JOIN cap_said AS c USING (merchant_id)
LEFT JOIN order_price AS o USING (number)
WHERE getvariable('by_lanes') AND value > 0;
CREATE TEMP TABLE given_worth (lane BIGINT, worth HUGEINT, by_price HUGEINT);
-- Where prices alone leave a gap, all plans are divided into branches with prices of
-- their own: optimizer verify walks through them by itself.
CREATE TEMP TABLE given_branches (worth HUGEINT, by_price HUGEINT);
