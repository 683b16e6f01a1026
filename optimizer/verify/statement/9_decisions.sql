-- 9. Every decision: its plan, reason, saving and surplus; and the tables made of them.

SET VARIABLE dual_of_prices = getvariable('dual_of_limits') + CASE
    WHEN getvariable('by_lanes') THEN (
        SELECT coalesce(sum(s.room::HUGEINT * s.part_price), 0)
        FROM lane_said AS s SEMI JOIN has_child USING (lane)
    ) + (SELECT coalesce(sum(price::HUGEINT), 0) FROM order_price)
      + (SELECT coalesce(sum(worth), 0) FROM given_worth)
    ELSE getvariable('dual_of_orders')
END;
SET VARIABLE most_of_prices = getvariable('dual_of_prices')
    + (SELECT coalesce(sum(by_price - worth), 0) FROM given_worth);
-- Where there are branches they bound all plans as well.
SET VARIABLE least_dual = (
    SELECT least(getvariable('dual_of_prices'), min(worth)) FROM given_branches);
SET VARIABLE most_dual = (
    SELECT least(getvariable('most_of_prices'), min(by_price)) FROM given_branches);
-- What every plan saves is a multiple of what divides all savings and penalties, so a
-- bound may be rounded down to one.
SET VARIABLE unit = greatest(1, coalesce(claim('$.certificate.unit')::BIGINT, 1));
CREATE TEMP TABLE check_unit AS
SELECT w.number::VARCHAR AS item, getvariable('unit')::VARCHAR AS published,
    w.saving::VARCHAR AS restated
FROM way AS w
JOIN decision AS d USING (number)
WHERE NOT d.is_in_pool AND w.saving % getvariable('unit') <> 0
UNION ALL
SELECT name, getvariable('unit')::VARCHAR, penalty::VARCHAR FROM limit_said
WHERE can_bind AND penalty > 0 AND penalty % getvariable('unit') <> 0;
SET VARIABLE dual_bound = getvariable('least_dual')
    - (getvariable('least_dual') % getvariable('unit') + getvariable('unit'))
        % getvariable('unit');
-- A bound that is not the least that single large lanes give is a bound all the same.
SET VARIABLE dual_bound = CASE
    WHEN claim('$.certificate.dual_bound')::HUGEINT BETWEEN getvariable('dual_bound')
        AND getvariable('dual_bound')
            + getvariable('most_dual') - getvariable('least_dual')
    THEN claim('$.certificate.dual_bound')::HUGEINT
    ELSE getvariable('dual_bound')
END;

-- Why an order is not chosen. At the prices: capacity stops what would not make it
-- with a free cap, the cap what would not make it with free capacity. What the prices
-- let in, only the room that the plan leaves can stop.
CREATE TEMP VIEW stop AS
SELECT b.number, d.true_merchant_id AS merchant_id, b.saving, b.has_room, b.is_beyond_budget,
    b.after_all - c.price AS surplus,
    c.cap = 0 AS is_capless,
    c.has_budget,
    CASE WHEN NOT getvariable('is_packing') THEN b.after_all <= 0
        WHEN b.after_all - c.price > 0 THEN b.lacks_rows
        ELSE b.without_caps_and_budget <= 0 END AS by_capacity,
    CASE WHEN NOT getvariable('is_packing') THEN b.saving <= c.price
        WHEN b.after_all - c.price > 0 THEN b.lacks_caps OR c.cap = u.used
        ELSE b.after_caps <= c.price END AS by_cap,
    CASE WHEN NOT getvariable('is_packing') THEN false
        WHEN b.after_all - c.price > 0
        THEN b.lacks_budget AND NOT (b.lacks_rows OR b.lacks_caps OR c.cap = u.used)
        ELSE b.without_budget - c.price > 0 END AS by_budget
FROM (
    SELECT *, without_caps AS without_caps_and_budget FROM best
) AS b
JOIN decision AS d USING (number)
JOIN cap_said AS c ON c.merchant_id = d.true_merchant_id
JOIN cap_used AS u ON u.merchant_id = d.true_merchant_id;

CREATE TEMP TABLE verdict AS
SELECT number, saving, has_room, surplus, CASE
    WHEN saving <= 0 THEN 'NO_SAVING'
    WHEN is_capless THEN CASE WHEN has_budget THEN 'BUDGET' ELSE 'CAP_ZERO' END
    WHEN is_beyond_budget THEN 'BUDGET'
    WHEN getvariable('is_packing') AND NOT has_room THEN 'CAPACITY_FULL'
    WHEN by_budget AND NOT by_capacity AND NOT by_cap THEN 'BUDGET'
    WHEN by_capacity = by_cap THEN 'CAP_AND_CAPACITY'
    WHEN by_capacity THEN 'CAPACITY_FULL'
    WHEN has_budget THEN 'BUDGET'
    ELSE 'CAP_FULL'
END AS reason
FROM stop;

-- check: every order has one decision, and every decision an order
CREATE TEMP TABLE check_orders AS
SELECT order_id AS item, 'no decision, or no merchant of its own' AS published, 'one' AS restated
FROM decision WHERE reason IS NULL OR merchant_id IS DISTINCT FROM true_merchant_id
UNION ALL
SELECT 'decisions.parquet', (SELECT count(*) FROM table_of('decisions.parquet'))::VARCHAR,
    (SELECT count(*) FROM decision)::VARCHAR
WHERE (SELECT count(*) FROM table_of('decisions.parquet')) <> (SELECT count(*) FROM decision);

-- check: who may not be recommended says so, with the reason, and nobody else does
CREATE TEMP TABLE check_kept_out AS
SELECT order_id AS item, concat_ws(': ', reason, ineligible_reason) AS published,
    concat_ws(': ', kept_out, CASE WHEN kept_out = 'INELIGIBLE' THEN true_ineligible_reason END)
        AS restated
FROM decision
WHERE kept_out IS NOT NULL AND (
        reason IS DISTINCT FROM kept_out OR is_premium IS DISTINCT FROM false
        OR carrier_id IS NOT NULL
        OR saving_cny IS NOT NULL OR surplus_cny IS NOT NULL OR has_room IS NOT NULL
        OR margin_cny IS NOT NULL OR margin_low_cny IS NOT NULL
        OR margin_high_cny IS NOT NULL
        OR arm IS NOT NULL OR propensity IS DISTINCT FROM 0
        OR ineligible_reason IS DISTINCT FROM
            CASE WHEN kept_out = 'INELIGIBLE' THEN true_ineligible_reason END)
    OR kept_out IS NULL AND (ineligible_reason IS NOT NULL
        OR reason IN ('INELIGIBLE', 'PINNED_OUT', 'CARRIER_INACTIVE', 'NO_OPTION',
            'NOT_DELIVERABLE'));

-- check: what is chosen, or drawn, goes with a carrier that it may go with
CREATE TEMP TABLE check_carrier AS
SELECT d.order_id AS item, d.carrier_id AS published, 'a carrier of the order' AS restated
FROM decision AS d JOIN chosen AS c USING (number) WHERE c.saving IS NULL
UNION ALL
SELECT d.order_id, d.carrier_id, 'a carrier of the order'
FROM decision AS d JOIN pool AS c USING (number) WHERE c.saving IS NULL
UNION ALL
SELECT d.order_id, d.carrier_id, 'a carrier of the order'
FROM decision AS d JOIN beside_plan AS c USING (number) WHERE c.saving IS NULL
UNION ALL
SELECT order_id, carrier_id, NULL FROM decision
WHERE carrier_id IS NOT NULL AND arm IS DISTINCT FROM 'margin'
    AND reason NOT IN ('CHOSEN', 'HELD_OUT', 'EXPLORED');

-- The share of all draws' plans that choose an order, as far as nothing is held out.
CREATE MACRO of_plans(num) AS num::DOUBLE / getvariable('num_plans')::DOUBLE
    * (1.0 - getvariable('hold_share')::DOUBLE);

-- Decisions beside what is restated of them, if anything differs.
CREATE TEMP TABLE apart AS
SELECT * FROM (
    SELECT d.order_id, d.saving_cny, d.surplus_cny, d.reason, d.has_room,
        coalesce(c.saving, e.saving, b.saving, v.saving)::DOUBLE / 1e6 AS true_saving_cny,
        v.surplus::DOUBLE / 1e6 AS true_surplus_cny,
        v.reason AS true_reason, v.has_room AS true_room,
        v.number IS NOT NULL AND NOT d.is_in_pool AND (
            d.has_room IS DISTINCT FROM v.has_room
            OR d.arm IS NOT DISTINCT FROM 'margin' AND (
                getvariable('coin_share') = 0 OR d.propensity IS DISTINCT FROM 0.5
                OR c.number IS NULL AND d.reason IS DISTINCT FROM
                    CASE WHEN d.is_premium THEN 'EXPLORED' ELSE v.reason END
                OR c.number IS NOT NULL AND (
                    d.reason NOT IN ('CHOSEN', 'HELD_OUT')
                    OR d.is_premium IS DISTINCT FROM (d.reason = 'CHOSEN')))
            OR d.arm IS DISTINCT FROM 'margin' AND c.number IS NULL AND (
                d.reason IS DISTINCT FROM v.reason OR d.is_premium IS DISTINCT FROM false
                OR d.arm IS DISTINCT FROM CASE WHEN t.num > 0 THEN 'thompson' END
                OR d.propensity IS DISTINCT FROM coalesce(of_plans(t.num), 0))
            OR d.arm IS DISTINCT FROM 'margin' AND c.number IS NOT NULL AND (
                d.reason NOT IN ('CHOSEN', 'HELD_OUT')
                OR d.is_premium IS DISTINCT FROM (d.reason = 'CHOSEN')
                OR d.arm IS DISTINCT FROM CASE WHEN t.num < getvariable('num_plans')
                    THEN 'thompson' ELSE 'policy' END
                OR d.propensity IS DISTINCT FROM coalesce(
                    of_plans(t.num), 1.0 - getvariable('hold_share')::DOUBLE))
        ) AS has_other_reason
    FROM decision AS d
    LEFT JOIN verdict AS v USING (number)
    LEFT JOIN chosen AS c USING (number)
    LEFT JOIN pool AS e USING (number)
    LEFT JOIN beside_plan AS b USING (number)
    LEFT JOIN draw_true AS t USING (number)
)
WHERE has_other_reason OR saving_cny IS DISTINCT FROM true_saving_cny
    OR surplus_cny IS DISTINCT FROM true_surplus_cny;

-- check: savings, to the micro-CNY
CREATE TEMP TABLE check_saving AS
SELECT order_id AS item, saving_cny AS published, true_saving_cny AS restated
FROM apart WHERE published IS DISTINCT FROM restated;

-- check: what orders are worth above their prices
CREATE TEMP TABLE check_surplus AS
SELECT order_id AS item, surplus_cny AS published, true_surplus_cny AS restated
FROM apart WHERE published IS DISTINCT FROM restated;

-- check: reasons, and whether there is a slot at all
CREATE TEMP TABLE check_reason AS
SELECT order_id AS item, concat_ws(', ', reason, has_room) AS published,
    concat_ws(', ', true_reason, true_room) AS restated
FROM apart WHERE has_other_reason;

-- check: drawn savings beside those by the mean, and the plans that choose an order
CREATE TEMP TABLE check_draws AS
WITH own AS (
    SELECT d.order_id, coalesce(c.saving, v.saving)::DOUBLE / 1e6 AS saving_cny,
        t.mean::DOUBLE / 1e6 AS mean_saving_cny, t.num AS num_plans
    FROM draw_true AS t JOIN decision AS d USING (number)
    LEFT JOIN chosen AS c USING (number)
    LEFT JOIN verdict AS v USING (number)
)
SELECT coalesce(s.order_id, o.order_id) AS item,
    [s.saving_cny, s.mean_saving_cny, s.num_plans] AS published,
    [o.saving_cny, o.mean_saving_cny, o.num_plans] AS restated
FROM draws_said AS s FULL JOIN own AS o USING (order_id)
WHERE published IS DISTINCT FROM restated OR s.order_id IS NULL OR o.order_id IS NULL;

-- check: of the chosen those are kept back that the draw names
CREATE MACRO half(purpose, which) AS ('0x' || substring(sha256(concat_ws(
    '|', config_text('$.holdout.seed'), getvariable('night'), purpose
)), 16 * which - 15, 16))::UBIGINT;
SET VARIABLE hold_first = half('hold', 1);
SET VARIABLE hold_second = half('hold', 2);
CREATE TEMP TABLE check_kept_back AS
WITH planned AS (
    SELECT d.order_id, d.reason,
        CASE WHEN config_text('$.holdout.unit') = 'station-day'
            THEN concat(l.carrier_id, '|', l.region_id, '|', l.outlet_id)
            ELSE d.order_id END AS unit
    FROM decision AS d
    JOIN chosen AS c USING (number)
    LEFT JOIN path AS p ON p.place = c.place AND p.depth = p.num_lanes
    LEFT JOIN lane AS l USING (lane)
    WHERE d.arm IS DISTINCT FROM 'margin'
), keyed AS (
    SELECT order_id, reason, key_of(unit, 0) AS key
    FROM planned WHERE getvariable('hold_share') NOT IN (0, 1)
), tossed AS (
    SELECT order_id, reason, mixed(xor(key, getvariable('hold_first'))) AS toss FROM keyed
), drawn AS (
    SELECT order_id, reason, mixed(
        ((toss::UHUGEINT + getvariable('hold_second')) & mask())::UBIGINT) AS draw,
        ((getvariable('hold_share') * 1000000000)::UHUGEINT
            * 18446744073709551616::UHUGEINT // 1000000000) AS share
    FROM tossed
)
SELECT order_id AS item, reason AS published, 'all or none kept back' AS restated
FROM planned
WHERE getvariable('hold_share') IN (0, 1)
    AND (reason = 'HELD_OUT') <> (getvariable('hold_share') = 1)
UNION ALL
SELECT order_id, reason, CASE WHEN draw < share THEN 'HELD_OUT' ELSE 'CHOSEN' END
FROM drawn WHERE (draw < share) <> (reason = 'HELD_OUT');

-- check: explored orders were open, each gets premium with one half, and any saving
CREATE TEMP TABLE check_pool AS
SELECT order_id AS item, reason AS published, 'a draw of the explore arm' AS restated
FROM decision
WHERE is_in_pool AND (
    getvariable('explore_share') = 0 OR kept_out IS NOT NULL
    OR reason NOT IN ('EXPLORED', 'HELD_OUT') OR propensity IS DISTINCT FROM 0.5
    OR has_room IS DISTINCT FROM true
    OR is_premium IS DISTINCT FROM (reason = 'EXPLORED'))
    OR NOT is_in_pool AND reason = 'EXPLORED' AND arm IS DISTINCT FROM 'margin';

-- check: what coins take out of the plan and put into it is as much, for each merchant
-- on each lane, so that every limit is kept as the plan keeps it
CREATE TEMP TABLE check_swaps AS
SELECT concat_ws(' ', merchant_id, place) AS item, sum(step) FILTER (step > 0) AS published,
    -sum(step) FILTER (step < 0) AS restated
FROM (
    SELECT b.merchant_id, p.deepest AS place, 1 AS step
    FROM beside_plan AS b JOIN place_price AS p USING (place) WHERE b.is_premium
    UNION ALL
    SELECT c.merchant_id, p.deepest, -1
    FROM chosen AS c JOIN place_price AS p USING (place) JOIN decision AS d USING (number)
    WHERE d.arm = 'margin' AND d.reason = 'HELD_OUT'
)
GROUP BY merchant_id, place HAVING sum(step) <> 0;

-- check: the recommendations are the decisions to recommend
CREATE TEMP TABLE check_recommendations AS
WITH own AS (
    SELECT order_id, merchant_id, carrier_id, region_id, saving_cny,
        'sug_home_deliver' AS order_tag, 'SVC-WBHOMEDELIVERY' AS service_code
    FROM decision WHERE is_premium
), theirs AS (
    SELECT order_id, merchant_id, carrier_id, region_id, saving_cny, order_tag, service_code
    FROM table_of('recommendations.parquet')
)
SELECT order_id AS item, 'published' AS published, NULL AS restated
FROM (FROM theirs EXCEPT ALL FROM own)
UNION ALL
SELECT order_id, NULL, 'restated' FROM (FROM own EXCEPT ALL FROM theirs);

-- check: the slots that recommendations take, on the most specific row
CREATE TEMP TABLE check_commitments AS
WITH taking_slots AS (
    SELECT number, place,
        (load + getvariable('scale') - 1) // getvariable('scale') AS load
    FROM chosen
    UNION ALL SELECT number, place, 1 FROM explored
    UNION ALL SELECT number, place, 1 FROM beside_plan
), own AS (
    SELECT d.order_id, l.carrier_id, l.region_id, l.outlet_id, l.day AS service_date,
        CASE WHEN getvariable('has_loads') THEN t.load::BIGINT END AS load
    FROM decision AS d JOIN taking_slots AS t USING (number)
    JOIN place_price AS p USING (place) JOIN lane AS l ON l.lane = p.deepest
    WHERE d.is_premium
), theirs AS (
    SELECT order_id, carrier_id, region_id, outlet_id, service_date, load
    FROM commitments_published
)
SELECT order_id AS item, 'published' AS published, NULL AS restated
FROM (FROM theirs EXCEPT ALL FROM own)
UNION ALL
SELECT order_id, NULL, 'restated' FROM (FROM own EXCEPT ALL FROM theirs);

-- check: caps, their use and their limit
CREATE TEMP TABLE check_caps AS
SELECT c.merchant_id AS item,
    [c.said_num_orders, c.said_cap, c.said_used, c.said_slack] AS published,
    [c.num_orders, c.cap, u.used + u.explored, c.cap - u.used - u.explored] AS restated
FROM cap_said AS c JOIN cap_used AS u USING (merchant_id)
WHERE published IS DISTINCT FROM restated OR u.used + u.explored > c.cap
    OR c.price IS NULL OR c.price < 0
UNION ALL
SELECT merchant_id, NULL, NULL
FROM table_of('merchants.parquet') WHERE merchant_id NOT IN (SELECT merchant_id FROM cap);

-- check: capacity rows, their use and their limit; no order twice
CREATE TEMP TABLE check_lanes AS
SELECT concat_ws('/', l.carrier_id, l.region_id, l.outlet_id, l.day) AS item,
    [s.slots, s.used, s.slack, s.in_flight] AS published,
    [s.room // getvariable('scale'), u.used // getvariable('scale') + u.explored,
     (s.room - u.explored) // getvariable('scale') - u.used // getvariable('scale'),
     l.in_flight] AS restated
FROM lane AS l JOIN lane_said AS s USING (lane) JOIN lane_used AS u USING (lane)
WHERE published IS DISTINCT FROM restated OR u.used + u.explored > s.room
    OR s.price IS NULL OR s.price < 0 OR s.price % getvariable('scale') <> 0
UNION ALL
SELECT 'lanes.parquet', [count(*)], [(SELECT count(*) FROM lane)]
FROM table_of('lanes.parquet') HAVING count(*) <> (SELECT count(*) FROM lane)
UNION ALL
SELECT number::VARCHAR, [count(*)], [1] FROM chosen GROUP BY number HAVING count(*) > 1;

-- check: limits beside caps and lanes, their use, and prices that bound something
CREATE TEMP TABLE check_limits AS
SELECT coalesce(kind || ': ' || name, 'rows.parquet') AS item,
    [said_low, said_high, said_used, said_slack, said_missing, said_penalty] AS published,
    [low, high // scale, used // scale, high // scale - used // scale,
     CASE WHEN low IS NULL THEN 0 ELSE greatest(0, low - used // scale) END,
     CASE WHEN low IS NOT NULL THEN penalty END] AS restated
FROM limit_said
WHERE published IS DISTINCT FROM restated OR used > high OR NOT coalesce(is_said, false)
    OR price IS NULL OR price % scale <> 0
    OR price > 0 AND high IS NULL OR price < 0 AND low IS NULL
    OR -part_price > penalty OR NOT can_bind AND price <> 0;

-- check: floors without a penalty, and pins, that the plan does not keep
CREATE TEMP TABLE clash AS
SELECT kind, name AS "limit", priority, low AS asked, used AS reached
FROM limit_said WHERE can_bind AND penalty IS NULL AND used < low
UNION ALL
SELECT 'pin', d.order_id, config_text('pin_priority')::BIGINT, 1, 0
FROM decision AS d ANTI JOIN chosen AS c USING (number)
WHERE d.is_pinned AND (d.kept_out IS NOT NULL OR getvariable('is_packing'));
CREATE TEMP TABLE check_conflicts AS
WITH own AS (
    SELECT kind, "limit", priority, asked, reached, asked - reached AS missing FROM clash
), theirs AS (
    SELECT kind, "limit", priority, asked, reached, missing FROM conflicts_said
)
SELECT kind || ' ' || "limit" AS item, 'published' AS published, NULL AS restated
FROM (FROM theirs EXCEPT ALL FROM own)
UNION ALL
SELECT kind || ' ' || "limit", NULL, 'restated' FROM (FROM own EXCEPT ALL FROM theirs)
UNION ALL
SELECT 'pin ' || s."limit", s.stopped_by, d.kept_out
FROM conflicts_said AS s JOIN decision AS d ON d.order_id = s."limit" AND s.kind = 'pin'
WHERE d.kept_out IS NOT NULL AND s.stopped_by IS DISTINCT FROM d.kept_out
UNION ALL
SELECT 'on_conflict', 'refuse', 'published' FROM own
WHERE config_text('on_conflict') = 'refuse';

-- check: prices of orders bound something
CREATE TEMP TABLE check_order_prices AS
SELECT order_id AS item, price AS published, NULL AS restated
FROM order_price
LEFT JOIN kept_pin AS k USING (number)
WHERE number IS NULL OR price IS NULL OR price = 0 OR price < 0 AND k.number IS NULL
UNION ALL
SELECT 'order_prices.parquet', count(*), NULL FROM order_prices_said
WHERE NOT getvariable('is_packing') HAVING count(*) > 0;

-- check: both bounds, and whether the plan is good enough
CREATE TEMP TABLE check_bounds AS
SELECT * FROM (VALUES
    ('primal_bound', claim('$.certificate.primal_bound'), getvariable('primal_bound')::VARCHAR),
    ('dual_bound', claim('$.certificate.dual_bound'), getvariable('dual_bound')::VARCHAR),
    ('gap', claim('$.certificate.gap'),
        (getvariable('dual_bound') - getvariable('primal_bound'))::VARCHAR)
) AS bounds(item, published, restated)
WHERE published IS DISTINCT FROM restated
UNION ALL
SELECT 'publish.max_relative_gap', config_text('$.publish.max_relative_gap'),
    claim('$.certificate.relative_gap')
WHERE (getvariable('dual_bound') - getvariable('primal_bound')) * 1000000000
    > nano(config_text('$.publish.max_relative_gap'))
        * greatest(1, getvariable('primal_bound'));
