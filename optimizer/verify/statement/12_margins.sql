-- 12. Margins, and what one more and one fewer slot is worth.
--
-- A margin is the best value with the order less the best value without it. Where plan
-- and prices prove each other it is known exactly, by what exchanges cost: to take a
-- chosen order back, to move it to another of its lanes, to choose another one instead,
-- to leave a place or a slot empty, to use one. At the prices no exchange costs less
-- than nothing, and from the ground, which is what is empty, everything in use is
-- reached for nothing: what is further from a lane than the ground is as far as that.
-- Elsewhere the bounds hold it: with the order forced in, the bound falls by what it is
-- below its prices; forced out, by what it is above them; a plan less an order is a plan.

CREATE TEMP TABLE exchange AS
SELECT source, target, min(cost)::BIGINT AS cost FROM (
    SELECT w.lane AS source, c.node AS target, w.net - c.highest AS cost
    FROM held_way AS w JOIN cap_range AS c USING (merchant_id) WHERE w.is_taken
    UNION ALL
    SELECT t.lane, w.lane, t.net - w.net
    FROM held_way AS t JOIN held_way AS w USING (number)
    WHERE t.is_taken AND NOT w.is_taken
    UNION ALL
    SELECT c.node, w.lane, c.highest - w.net
    FROM held_way AS w JOIN cap_range AS c USING (merchant_id)
    WHERE NOT w.is_chosen AND w.net > 0
    UNION ALL
    SELECT c.node, 0, c.highest
    FROM cap_range AS c JOIN cap_used AS u USING (merchant_id) WHERE u.used > 0
    UNION ALL
    SELECT n.lane, coalesce(n.above, 0), coalesce(a.price, 0) - n.price
    FROM lane_node AS n
    LEFT JOIN lane_node AS a ON a.lane = n.above
    JOIN lane_said AS s ON s.lane = n.lane
    JOIN lane_used AS u ON u.lane = n.lane
    WHERE u.used + u.explored < s.room
    UNION ALL
    SELECT n.above, n.lane, n.price - a.price
    FROM lane_node AS n
    JOIN lane_node AS a ON a.lane = n.above
    JOIN lane_used AS u ON u.lane = n.lane
    WHERE u.used > 0
)
WHERE getvariable('has_rule') AND cost IS NOT NULL
GROUP BY source, target;

-- How far each node is from the ground; none: no way leads there.
CREATE TEMP TABLE to_ground AS
WITH RECURSIVE way_down(node, distance) USING KEY (node) AS (
    SELECT 0::BIGINT, 0::BIGINT
    UNION
    SELECT x.source, min(x.cost + g.distance)::BIGINT
    FROM way_down AS g
    JOIN exchange AS x ON x.target = g.node
    LEFT JOIN recurring.way_down AS k ON k.node = x.source
    WHERE k.distance IS NULL OR x.cost + g.distance < k.distance
    GROUP BY x.source
) FROM way_down;
-- What is nearer to a lane than the ground.
CREATE TEMP TABLE ground_of_lane AS
SELECT n.lane, g.distance, coalesce(g.distance, 4611686018427387904) AS reach
FROM lane_node AS n LEFT JOIN to_ground AS g ON g.node = n.lane;
-- An exchange that costs as much as the ground is far is on no way to what is nearer.
CREATE TEMP TABLE short_exchange AS
SELECT x.* FROM exchange AS x
LEFT JOIN to_ground AS g ON g.node = x.source
WHERE x.target <> 0 AND x.cost < coalesce(g.distance, 4611686018427387904);
-- From a lane: to merchants and to the lanes around others, which is found backwards
-- from these; from a merchant, and from a lane around others: to lanes.
CREATE TEMP TABLE reach_of AS
SELECT node, coalesce(distance, 4611686018427387904) AS reach FROM (
    SELECT n.node, g.distance FROM (
        SELECT lane AS node FROM lane_node UNION ALL SELECT node FROM cap_range
    ) AS n LEFT JOIN to_ground AS g USING (node)
);
CREATE TEMP TABLE from_lane AS
WITH RECURSIVE near(source, node, distance) USING KEY (source, node) AS (
    SELECT node::BIGINT, node::BIGINT, 0::BIGINT FROM (
        SELECT DISTINCT target AS node FROM short_exchange WHERE target < 0
        UNION
        SELECT above FROM lane_node WHERE above IS NOT NULL
    )
    UNION
    SELECT x.source, n.node, min(n.distance + x.cost)::BIGINT
    FROM near AS n
    JOIN short_exchange AS x ON x.target = n.source
    JOIN reach_of AS r ON r.node = x.source
    LEFT JOIN recurring.near AS k ON k.source = x.source AND k.node = n.node
    WHERE n.distance + x.cost < least(r.reach, coalesce(k.distance, r.reach))
    GROUP BY x.source, n.node
) FROM near;
CREATE TEMP TABLE to_lane AS
WITH RECURSIVE near(source, node, distance) USING KEY (source, node) AS (
    SELECT node::BIGINT, node::BIGINT, 0::BIGINT FROM (
        SELECT DISTINCT source AS node FROM short_exchange WHERE source < 0
        UNION
        SELECT above FROM lane_node WHERE above IS NOT NULL
    )
    UNION
    SELECT n.source, x.target, min(n.distance + x.cost)::BIGINT
    FROM near AS n
    JOIN short_exchange AS x ON x.source = n.node
    JOIN reach_of AS r ON r.node = n.source
    LEFT JOIN recurring.near AS k ON k.source = n.source AND k.node = x.target
    WHERE n.distance + x.cost < least(r.reach, coalesce(k.distance, r.reach))
    GROUP BY n.source, x.target
) FROM near;
-- Where lanes could see more than there is room for, ends may stand in for a margin.
SET VARIABLE is_far = (
    SELECT count(*) > 1024 AND count(*) * (SELECT count(*) FROM lane) > 33554432
    FROM reach_of
);

CREATE TEMP TABLE cap_left AS
SELECT r.*, c.cap - u.explored AS places, u.used, g.distance
FROM cap_range AS r
JOIN cap_said AS c USING (merchant_id)
JOIN cap_used AS u USING (merchant_id)
LEFT JOIN to_ground AS g ON g.node = r.node;
CREATE TEMP VIEW exact_margin AS
SELECT w.number, -min(c.highest - w.after_lanes + coalesce(n.distance, g.distance)) AS margin
FROM priced AS w
JOIN place_price AS p USING (place)
JOIN cap_left AS c USING (merchant_id)
JOIN ground_of_lane AS g ON g.lane = p.deepest
LEFT JOIN from_lane AS n ON n.source = p.deepest AND n.node = c.node
WHERE getvariable('has_rule') AND c.places > 0
    AND w.number NOT IN (SELECT number FROM chosen WHERE number IS NOT NULL)
GROUP BY w.number
UNION ALL
SELECT w.number, w.net - c.highest + least(c.distance, coalesce(s.distance, c.distance))
FROM held_way AS w
JOIN cap_left AS c USING (merchant_id)
LEFT JOIN to_lane AS s ON s.source = c.node AND s.node = w.lane
WHERE w.is_taken;

-- What the prices say where no exact margin is known.
SET VARIABLE price_gap = getvariable('dual_of_limits') + getvariable('dual_of_orders')
    - getvariable('primal_bound');
SET VARIABLE may_leave = getvariable('has_rule') OR NOT (
    EXISTS (FROM decision WHERE is_pinned AND kept_out IS NULL)
    OR EXISTS (FROM limit_said WHERE can_bind AND low IS NOT NULL)
);
CREATE TEMP TABLE margin_ends AS
SELECT v.number,
    CASE WHEN h.number IS NOT NULL THEN greatest(0, v.surplus) - getvariable('price_gap') END
        AS low,
    CASE WHEN d.is_in_pool THEN v.surplus + getvariable('price_gap')
        WHEN h.number IS NULL THEN least(0, v.surplus) + getvariable('price_gap')
        WHEN getvariable('may_leave')
        THEN least(0, v.surplus) + h.saving + getvariable('price_gap') END AS high
FROM verdict AS v
JOIN decision AS d USING (number)
JOIN cap_said AS c ON c.merchant_id = d.true_merchant_id
JOIN cap_used AS u ON u.merchant_id = d.true_merchant_id
LEFT JOIN chosen AS h USING (number)
WHERE NOT getvariable('has_rule')
    AND NOT (d.is_pinned AND getvariable('is_packing'))
    AND (h.number IS NOT NULL OR d.is_in_pool OR v.has_room AND c.cap > u.explored);

-- check: margins, exactly, or between their ends
CREATE TEMP TABLE check_margin AS
SELECT d.order_id AS item, [d.margin_cny, d.margin_low_cny, d.margin_high_cny] AS published,
    CASE WHEN getvariable('has_rule') THEN [m.margin::DOUBLE / 1e6, NULL, NULL]
        WHEN e.low = e.high THEN [e.low::DOUBLE / 1e6, NULL, NULL]
        ELSE [NULL, e.low::DOUBLE / 1e6, e.high::DOUBLE / 1e6] END AS restated
FROM decision AS d
LEFT JOIN exact_margin AS m USING (number)
LEFT JOIN margin_ends AS e USING (number)
WHERE published IS DISTINCT FROM restated AND NOT (
    getvariable('is_far') AND d.margin_cny IS NULL AND m.margin IS NOT NULL
    AND coalesce(micro_of(d.margin_low_cny) <= m.margin AND m.margin <= micro_of(d.margin_high_cny), false)
);

-- check: what one more slot brings and one fewer costs: in a row alone, and around it
CREATE TEMP TABLE check_slots AS
WITH own AS (
    SELECT n.lane, n.price, n.price - coalesce(a.price, 0) AS alone, s.room - u.explored AS slots,
        u.used + u.explored = s.room AS is_full, g.distance AS down,
        CASE WHEN n.above IS NULL THEN 0 ELSE coalesce(i.distance, h.distance) END AS inward,
        CASE WHEN n.above IS NULL THEN g.distance ELSE coalesce(o.distance, g.distance) END AS outward
    FROM lane_node AS n
    LEFT JOIN lane_node AS a ON a.lane = n.above
    JOIN lane_said AS s ON s.lane = n.lane
    JOIN lane_used AS u ON u.lane = n.lane
    JOIN ground_of_lane AS g ON g.lane = n.lane
    LEFT JOIN ground_of_lane AS h ON h.lane = n.above
    LEFT JOIN to_lane AS i ON i.source = n.above AND i.node = n.lane
    LEFT JOIN from_lane AS o ON o.source = n.lane AND o.node = n.above
), stated AS (
    SELECT lane, CASE WHEN getvariable('has_rule') THEN [
        CASE WHEN is_full AND alone > 0 THEN greatest(0, alone - coalesce(inward, alone)) ELSE 0 END,
        CASE WHEN slots = 0 THEN NULL WHEN is_full THEN alone + outward ELSE 0 END,
        price, price + down
    ] ELSE [NULL, NULL, NULL, NULL] END AS restated
    FROM own
)
SELECT concat_ws('/', l.carrier_id, l.region_id, l.outlet_id, l.day) AS item,
    [micro_of(s.one_more_cny), micro_of(s.one_fewer_cny),
     micro_of(s.one_more_around_cny), micro_of(s.one_fewer_around_cny)]::HUGEINT[] AS published,
    t.restated::HUGEINT[] AS restated
FROM lane AS l JOIN lane_said AS s USING (lane) LEFT JOIN stated AS t USING (lane)
WHERE published IS DISTINCT FROM t.restated::HUGEINT[] AND NOT (
    getvariable('is_far') AND published[3:] IS NOT DISTINCT FROM (t.restated::HUGEINT[])[3:]
    AND (published[1] IS NULL OR published[1] = t.restated[1])
    AND (published[2] IS NULL OR published[2] = t.restated[2])
);

-- check: what one more in a cap brings and one fewer costs
CREATE TEMP TABLE check_cap_values AS
WITH first AS (
    SELECT c.merchant_id, greatest(0, max(w.after_lanes - g.distance)) AS more
    FROM cap_left AS c
    JOIN priced AS w USING (merchant_id)
    JOIN decision AS d USING (number)
    JOIN place_price AS p USING (place)
    JOIN ground_of_lane AS g ON g.lane = p.deepest
    WHERE c.places = 0 AND NOT d.is_in_pool
    GROUP BY c.merchant_id
), stated AS (
    SELECT c.merchant_id, CASE WHEN getvariable('has_rule') THEN [
        CASE WHEN c.places = 0 THEN coalesce(f.more, 0)
            WHEN c.used < c.places THEN 0 ELSE c.highest - c.distance END,
        CASE WHEN c.places = 0 THEN NULL ELSE c.highest END
    ] ELSE [NULL, NULL] END AS restated
    FROM cap_left AS c LEFT JOIN first AS f USING (merchant_id)
)
SELECT c.merchant_id AS item,
    [micro_of(c.one_more_cny), micro_of(c.one_fewer_cny)]::HUGEINT[] AS published,
    t.restated::HUGEINT[] AS restated
FROM cap_said AS c JOIN stated AS t USING (merchant_id)
WHERE published IS DISTINCT FROM t.restated::HUGEINT[];
