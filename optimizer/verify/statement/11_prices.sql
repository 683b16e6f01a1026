-- 11. The published prices are those of the rule: the lowest lane prices that prove the
-- plan, and the lowest cap prices beside them. (Of a network night whose plan is proved
-- the optimum; prices of other nights prove their bound, and are not unique.)
--
-- A lane's price is the lowest if something holds it up: it is 0; an order that is not
-- chosen, of a merchant with room under its cap, saves exactly as much; or another
-- price holds it up, through a merchant whose cap is full (an order of it that is not
-- chosen would just replace one that is), through a chosen order that would just move,
-- or through the lane around it, or one with slack inside it. What nothing holds up
-- from the ground could be lower.

SET VARIABLE has_rule = NOT getvariable('is_packing')
    AND getvariable('dual_bound') = getvariable('primal_bound');
CREATE TEMP TABLE lane_on_path AS
SELECT lane, any_value(price) AS price, any_value(above) AS above FROM (
    SELECT p.lane, sum(s.part_price) OVER walk AS price, lag(p.lane) OVER walk AS above
    FROM path AS p JOIN lane_said AS s USING (lane)
    WINDOW walk AS (PARTITION BY p.place ORDER BY p.depth)
) GROUP BY lane;
CREATE TEMP TABLE lane_node AS
WITH RECURSIVE node(lane, price, above) AS (
    SELECT lane, price, above FROM lane_on_path
    UNION ALL
    SELECT o.lane, s.part_price, NULL
    FROM lane_off_path AS o JOIN lane_said AS s USING (lane) WHERE o.above IS NULL
    UNION ALL
    SELECT o.lane, n.price + s.part_price, o.above
    FROM node AS n
    JOIN lane_off_path AS o ON o.above = n.lane
    JOIN lane_said AS s ON s.lane = o.lane
) FROM node;
CREATE TEMP TABLE cap_node AS
SELECT -row_number() OVER () AS node, c.merchant_id, c.price, c.cap - u.explored = u.used AS is_full
FROM cap_said AS c JOIN cap_used AS u USING (merchant_id);
-- Ways of orders that the solver had, with what each saves above its lane's price.
CREATE TEMP TABLE held_way AS
SELECT w.number, w.merchant_id, p.deepest AS lane, w.after_lanes AS net,
    c.number IS NOT NULL AS is_chosen,
    c.number IS NOT NULL AND c.place = w.place AS is_taken
FROM priced AS w
JOIN place_price AS p USING (place)
JOIN decision AS d USING (number)
LEFT JOIN chosen AS c USING (number)
WHERE getvariable('has_rule') AND NOT d.is_in_pool
    AND (c.number IS NOT NULL OR w.after_lanes >= 0);
-- The highest price that a full cap may have, and the lowest that proves the plan.
CREATE TEMP TABLE cap_range AS
SELECT n.node, n.merchant_id, n.price, n.is_full,
    CASE WHEN n.is_full THEN w.least_taken ELSE 0 END AS highest,
    CASE WHEN n.is_full THEN greatest(0, coalesce(w.best_left, 0)) ELSE 0 END AS lowest
FROM cap_node AS n
LEFT JOIN (
    SELECT merchant_id, min(net) FILTER (is_taken) AS least_taken,
        max(net) FILTER (NOT is_chosen) AS best_left
    FROM held_way GROUP BY merchant_id
) AS w USING (merchant_id);
CREATE TEMP TABLE holds_up AS
SELECT DISTINCT * FROM (
    SELECT 0 AS node, lane AS other FROM lane_node WHERE price = 0
    UNION ALL
    SELECT CASE WHEN c.is_full THEN c.node ELSE 0 END, w.lane
    FROM held_way AS w JOIN cap_range AS c USING (merchant_id)
    WHERE NOT w.is_chosen AND w.net = c.highest
    UNION ALL
    SELECT w.lane, c.node
    FROM held_way AS w JOIN cap_range AS c USING (merchant_id)
    WHERE w.is_taken AND c.is_full AND w.net = c.highest
    UNION ALL
    SELECT t.lane, w.lane
    FROM held_way AS t JOIN held_way AS w USING (number)
    WHERE t.is_taken AND NOT w.is_taken AND w.net = t.net
    UNION ALL
    SELECT n.above, n.lane
    FROM lane_node AS n JOIN lane_node AS a ON a.lane = n.above
    WHERE n.price = a.price
    UNION ALL
    SELECT n.lane, n.above
    FROM lane_node AS n JOIN lane_said AS s USING (lane) JOIN lane_used AS u USING (lane)
    WHERE n.above IS NOT NULL AND u.used + u.explored < s.room
);
CREATE TEMP TABLE grounded AS
WITH RECURSIVE reached(node) AS (
    SELECT 0 UNION SELECT h.other FROM reached AS r JOIN holds_up AS h ON h.node = r.node
) FROM reached;

-- check: no lane price could be lower
CREATE TEMP TABLE check_lowest_prices AS
SELECT concat_ws('/', l.carrier_id, l.region_id, l.outlet_id, l.day) AS item,
    s.price / 1e6 AS published, 'lower' AS restated
FROM lane AS l
JOIN lane_said AS s USING (lane)
LEFT JOIN lane_node AS n USING (lane)
WHERE getvariable('has_rule') AND s.price > 0
    AND (n.lane IS NULL OR l.lane NOT IN (SELECT node FROM grounded));
-- check: cap prices are the lowest beside them
CREATE TEMP TABLE check_cap_prices AS
SELECT merchant_id AS item, price / 1e6 AS published, lowest / 1e6 AS restated
FROM cap_range
WHERE getvariable('has_rule') AND price IS DISTINCT FROM lowest;
