-- 9. What decides where limits and savings do not: pins that other pins stop, and orders
-- that are alike. Version 0.1.0 had neither rule.
SET VARIABLE has_equals = coalesce(claim('$.identity.version'), '') <> '0.1.0';

-- Room that the pins that are kept leave, alone.
CREATE TEMP TABLE pin_use AS
SELECT c.merchant_id, c.place, c.load FROM kept_pin AS k JOIN chosen AS c USING (number);
CREATE TEMP TABLE room_beside_pins AS
SELECT l.lane, l.room - u.explored - coalesce(k.load, 0) AS room
FROM lane_said AS l
JOIN lane_used AS u USING (lane)
LEFT JOIN (
    SELECT p.lane, sum(load) AS load FROM pin_use JOIN path AS p USING (place) GROUP BY p.lane
) AS k USING (lane);
CREATE TEMP TABLE pin_stop AS
SELECT d.order_id, CASE
    WHEN c.cap - u.explored = 0 THEN 'CAP_ZERO'
    WHEN NOT d.has_room THEN 'NO_SLOTS'
    WHEN coalesce(k.num, 0) >= c.cap - u.explored THEN 'CAPS'
    WHEN NOT f.fits THEN 'SLOTS'
    ELSE 'OTHER_LIMITS' END AS why
FROM decision AS d
JOIN cap AS c ON c.merchant_id = d.true_merchant_id
JOIN cap_used AS u ON u.merchant_id = d.true_merchant_id
LEFT JOIN (SELECT merchant_id, count(*) AS num FROM pin_use GROUP BY 1) AS k
    ON k.merchant_id = d.true_merchant_id
JOIN (
    SELECT number, bool_or(fits) AS fits FROM (
        SELECT w.number, w.place, bool_and(w.load * n.part <= r.room) AS fits
        FROM way AS w
        JOIN counting AS n USING (merchant_id)
        SEMI JOIN (SELECT number FROM decision WHERE is_pinned) AS pinned USING (number)
        JOIN path AS p USING (place)
        JOIN room_beside_pins AS r USING (lane)
        GROUP BY w.number, w.place
    ) GROUP BY number
) AS f USING (number)
ANTI JOIN chosen AS taken ON taken.number = d.number
WHERE d.is_pinned AND d.kept_out IS NULL AND getvariable('is_packing');

-- check: what stops pins that took part
CREATE TEMP TABLE check_pin_stops AS
SELECT 'pin ' || s."limit" AS item, s.stopped_by AS published, p.why AS restated
FROM conflicts_said AS s JOIN pin_stop AS p ON p.order_id = s."limit" AND s.kind = 'pin'
WHERE getvariable('has_equals') AND s.stopped_by IS DISTINCT FROM p.why;

-- Floors without a penalty that are not kept: too few parcels may go there, or their
-- merchants' caps allow too few. Which of slots and other limits stops the rest is not
-- stated again.
CREATE TEMP TABLE floor_way AS
SELECT l.id, w.number, w.merchant_id
FROM limit_said AS l
JOIN (
    SELECT i.id, w.number, w.merchant_id FROM in_cell AS i JOIN way AS w USING (cell)
    UNION ALL
    SELECT i.id, w.number, w.merchant_id FROM of_merchant AS i JOIN way AS w USING (merchant_id)
) AS w USING (id)
ANTI JOIN pool AS p ON p.number = w.number
WHERE l.can_bind AND l.penalty IS NULL AND l.used < l.low;
CREATE TEMP TABLE floor_stop AS
SELECT l.kind, l.name, l.low, l.used, CASE
    WHEN coalesce(f.num_orders, 0) < l.low THEN 'TOO_FEW_PARCELS'
    WHEN f.num_allowed < l.low THEN 'CAPS' END AS why
FROM limit_said AS l
LEFT JOIN (
    SELECT m.id, sum(m.num) AS num_orders, sum(least(m.num, c.cap - u.explored)) AS num_allowed
    FROM (
        SELECT id, merchant_id, count(DISTINCT number) AS num FROM floor_way GROUP BY ALL
    ) AS m
    JOIN cap AS c USING (merchant_id)
    JOIN cap_used AS u USING (merchant_id)
    GROUP BY m.id
) AS f USING (id)
WHERE l.can_bind AND l.penalty IS NULL AND l.used < l.low;

-- check: what stops floors
CREATE TEMP TABLE check_floor_stops AS
SELECT s.kind || ' ' || s."limit" AS item, s.stopped_by AS published,
    coalesce(f.why, 'SLOTS or OTHER_LIMITS') AS restated
FROM conflicts_said AS s
JOIN floor_stop AS f ON f.kind = s.kind AND f.name = s."limit" AND f.low = s.asked
    AND f.used = s.reached
WHERE getvariable('has_equals')
    AND NOT coalesce(list_contains(CASE WHEN f.why IS NULL THEN ['SLOTS', 'OTHER_LIMITS'] ELSE [f.why] END, s.stopped_by), false);

-- Orders are alike that are of one merchant, may go to the same places, and save the same
-- there. Of those that the prices leave open, where some are chosen, the chosen ones have
-- the smallest keys of their ids. A solve that took all its time may not have come so far.
SET VARIABLE has_tie_rule = getvariable('has_equals') AND NOT getvariable('is_packing')
    AND claim('$.termination.reason') = 'OPTIMAL'
    AND claim('$.run_measurements.seconds.solve')::DOUBLE
        < config_text('$.solver.time_limit_seconds')::DOUBLE;
CREATE TEMP TABLE tied AS
SELECT d.number, d.order_id, d.true_merchant_id AS merchant_id, c.number IS NOT NULL AS is_in
FROM verdict AS v
JOIN decision AS d USING (number)
LEFT JOIN chosen AS c USING (number)
WHERE getvariable('has_tie_rule') AND v.surplus = 0 AND v.saving > 0 AND NOT d.is_in_pool;
CREATE TEMP TABLE alike AS
SELECT hash(merchant_id, ways) AS kind, order_id, is_in FROM (
    SELECT t.merchant_id, t.order_id, t.is_in,
        list((w.place, w.saving) ORDER BY w.place, w.saving) AS ways
    FROM tied AS t JOIN way AS w USING (number)
    GROUP BY t.number, t.merchant_id, t.order_id, t.is_in
)
QUALIFY bool_or(is_in) OVER (PARTITION BY merchant_id, ways)
    AND NOT bool_and(is_in) OVER (PARTITION BY merchant_id, ways);
CREATE TEMP TABLE out_of_turn AS
SELECT kind, max(order_id) FILTER (is_in AND key = last_in) AS item,
    min(order_id) FILTER (NOT is_in AND key = first_out) AS instead
FROM (
    SELECT *, max(key) FILTER (is_in) OVER (PARTITION BY kind) AS last_in,
        min(key) FILTER (NOT is_in) OVER (PARTITION BY kind) AS first_out
    FROM (SELECT *, key_of(order_id, 0) AS key FROM alike)
)
WHERE last_in > first_out
GROUP BY kind;

-- check: of orders that are alike, those with the smallest keys are chosen; where two ids
-- of the night share a key, other keys decided
CREATE TEMP TABLE check_ties AS
SELECT item, 'chosen' AS published, instead || ' before it' AS restated
FROM out_of_turn
WHERE NOT EXISTS (
    SELECT key FROM (
        SELECT key_of(order_id, 0) AS key FROM decision
        WHERE (SELECT count(*) FROM out_of_turn) > 0
    ) GROUP BY key HAVING count(*) > 1
);
