-- 6. Limits beside caps and lanes, and how slots are counted.
--
-- Slots hold recommendations, or purchases expected of them: then a recommendation
-- counts for the merchant's take-up, whole where all take-ups are equal, else in parts
-- of a parcel, rounded up. What a row holds by quantile takes binomial tails, which
-- optimizer verify works out by itself (`given_room`).

CREATE TEMP TABLE way AS
SELECT
    o.number,
    o.merchant_id,
    c.cell,
    c.place,
    o.carrier_id,
    o.load,
    o.saving
FROM offer AS o
JOIN (
    SELECT q.*, p.place FROM cell AS q
    JOIN place AS p ON p.carrier_id = q.carrier_id AND p.region_id = q.region_id
        AND p.outlet_id IS NOT DISTINCT FROM q.outlet_id
        AND p.day IS NOT DISTINCT FROM q.day
) AS c ON c.carrier_id = o.carrier_id AND c.region_id = o.region_id
    AND c.outlet_id IS NOT DISTINCT FROM o.outlet_id
    AND c.day IS NOT DISTINCT FROM o.day AND c.further IS NOT DISTINCT FROM o.further;
-- What ways take of the resources that rows count.
CREATE TEMP TABLE way_taking AS
SELECT w.number, w.carrier_id, w.cell, w.merchant_id, t.resource, t.amount
FROM way AS w JOIN resource_taken AS t USING (number, carrier_id);
-- What has been read is not needed any more.
DROP TABLE resource_taken;
DROP TABLE offer;
DROP VIEW ways;
DROP TABLE IF EXISTS options;

CREATE TEMP TABLE beside_row AS
SELECT row_number() OVER () AS id, * FROM laid WHERE NOT is_lane;

-- Cells that no row takes, at a place where rows beside the lanes take others.
CREATE TEMP TABLE shut AS
SELECT c.cell
FROM cell AS c
JOIN lane AS l ON l.is_loose AND l.carrier_id = c.carrier_id AND l.region_id = c.region_id
    AND l.outlet_id IS NOT DISTINCT FROM c.outlet_id AND l.day IS NOT DISTINCT FROM c.day
WHERE l.slots > 0 AND NOT getvariable('is_open') AND c.cell NOT IN (SELECT cell FROM beside);

SET VARIABLE has_limits = (
    SELECT EXISTS (FROM beside_row)
        OR EXISTS (FROM laid WHERE min_parcels > 0)
        OR EXISTS (FROM way WHERE load <> 1)
        OR EXISTS (FROM state WHERE is_pinned)
        OR json_array_length(getvariable('config'), '$.fairness') > 0
        OR getvariable('count_rule') <> 'recommendations'
        OR policy_text('$.cap.group') <> 'merchant'
        OR policy_text('subsidy_budget_cny') IS NOT NULL
);

CREATE TEMP TABLE taken_up AS
SELECT c.merchant_id,
    coalesce(e.take_up, 1.0)::VARCHAR::DECIMAL(38, 24) AS take_up,
    c.num_open > 0 AS is_used
FROM cap AS c
LEFT JOIN merchants AS e USING (merchant_id);
CREATE MACRO part_of(take_up, scale) AS greatest(1, ceil(take_up * scale))::BIGINT;
SET VARIABLE scale = (
    SELECT CASE
        WHEN getvariable('count_rule') = 'recommendations' OR count(DISTINCT take_up) < 2
        THEN 1
        ELSE 1000 // list_reduce(
            list_append(list(DISTINCT part_of(take_up, 1000)), 1000::BIGINT),
            lambda a, b: gcd(a, b)
        )
    END FROM taken_up WHERE is_used
);
-- What a recommendation of each merchant's counts for.
CREATE TEMP TABLE counting AS
SELECT merchant_id, take_up,
    CASE WHEN getvariable('scale') = 1 THEN 1
        ELSE part_of(take_up, getvariable('scale')) END::BIGINT AS part
FROM taken_up;

-- Ways in bulk: enough for all that limits ask about them.
CREATE TEMP TABLE bulk AS
SELECT w.cell, w.place, w.merchant_id, count(*) AS num_ways,
    sum(w.load)::HUGEINT AS num_slots,
    sum(w.load * c.part)::HUGEINT AS load, max(w.load * c.part) AS heaviest,
    any_value(c.part) AS part, any_value(c.take_up) AS take_up
FROM way AS w
JOIN counting AS c USING (merchant_id)
WHERE getvariable('has_limits')
GROUP BY w.cell, w.place, w.merchant_id;

-- What a row that holds purchases is asked about, and what it holds.
CREATE TEMP TABLE counted AS
SELECT 'lane' AS of, l.lane AS id, l.slots, coalesce(f.num_slots, 0)::BIGINT AS most_taken,
    coalesce(f.low, (SELECT min(take_up) FROM counting)) AS low,
    coalesce(f.high, (SELECT min(take_up) FROM counting)) AS high
FROM lane AS l
LEFT JOIN (
    SELECT p.lane, sum(b.num_slots) AS num_slots, min(b.take_up) AS low,
        max(b.take_up) AS high
    FROM path AS p JOIN bulk AS b USING (place)
    GROUP BY p.lane
) AS f USING (lane)
UNION ALL
SELECT 'row', r.id, r.slots,
    CASE WHEN r.resource IS NULL THEN coalesce(f.num_slots, 0) ELSE coalesce(t.amount, 0) END::BIGINT,
    coalesce(f.low, 1), coalesce(f.high, 1)
FROM beside_row AS r
LEFT JOIN (
    SELECT t.number, t.day, w.resource, sum(w.amount) AS amount
    FROM taking AS t JOIN way_taking AS w USING (cell)
    GROUP BY t.number, t.day, w.resource
) AS t ON t.number = r.number AND t.day IS NOT DISTINCT FROM r.day AND t.resource = r.resource
LEFT JOIN (
    SELECT t.number, t.day, sum(b.num_slots) AS num_slots, min(b.take_up) AS low,
        max(b.take_up) AS high
    FROM taking AS t JOIN bulk AS b USING (cell)
    GROUP BY t.number, t.day
) AS f ON f.number = r.number AND f.day IS NOT DISTINCT FROM r.day;
CREATE TEMP TABLE given_room (of VARCHAR, id BIGINT, room BIGINT);
