-- 7. What each row holds, the limits beside caps and lanes, and the plan.

CREATE MACRO most_expected(slots, take_up, most_taken) AS CASE
    WHEN take_up > 0 THEN least(
        (slots::DECIMAL(38, 24) // take_up)::BIGINT, greatest(slots, most_taken)
    )
    ELSE greatest(slots, most_taken)
END;
CREATE TEMP TABLE held AS
SELECT c.of, c.id, CASE
    WHEN getvariable('count_rule') = 'recommendations' OR c.slots = 0 THEN c.slots
    WHEN getvariable('count_rule') = 'quantile' THEN g.room
    WHEN c.low = c.high OR c.most_taken = 0 THEN
        most_expected(c.slots, c.high, c.most_taken)
        * CASE WHEN getvariable('scale') > 1
            THEN part_of(c.high, getvariable('scale')) ELSE 1 END
    ELSE c.slots * getvariable('scale')
END::BIGINT AS room
FROM counted AS c
LEFT JOIN given_room AS g USING (of, id);

-- Published prices, as what a part of a parcel is charged.
CREATE MACRO micro_of(money) AS round(money * 1000000, 0)::BIGINT;
CREATE TEMP TABLE lane_said AS
SELECT l.lane, h.room, s.slots, s.used, s.slack, s.in_flight,
    s.one_more_cny, s.one_fewer_cny, s.one_more_around_cny, s.one_fewer_around_cny,
    micro_of(s.shadow_price_cny) AS price,
    micro_of(s.shadow_price_cny) // getvariable('scale') AS part_price
FROM lane AS l
JOIN held AS h ON h.of = 'lane' AND h.id = l.lane
LEFT JOIN lanes_published AS s
    ON s.carrier_id = l.carrier_id AND s.region_id IS NOT DISTINCT FROM l.region_id
    AND s.outlet_id IS NOT DISTINCT FROM l.outlet_id
    AND s.service_date IS NOT DISTINCT FROM l.day;
CREATE TEMP TABLE cap_said AS
SELECT c.merchant_id, c.num_orders, c.cap, c.has_budget, c.num_open,
    micro_of(s.shadow_price_cny) AS price,
    s.num_orders AS said_num_orders, s.cap AS said_cap, s.used AS said_used,
    s.slack AS said_slack, s.one_more_cny, s.one_fewer_cny
FROM cap AS c
LEFT JOIN merchants_published AS s USING (merchant_id);

-- What is decided of each order; explored orders are drawn before the plan is made.
CREATE TEMP TABLE decision AS
SELECT s.number, s.merchant_id AS true_merchant_id, s.region_id, s.kept_out, s.is_pinned,
    s.ineligible_reason AS true_ineligible_reason, d.*,
    d.arm IS NOT DISTINCT FROM 'explore' AS is_in_pool
FROM state AS s
LEFT JOIN decisions_published AS d USING (order_id);
DROP VIEW state;
DROP TABLE orders;
CREATE TEMP TABLE chosen AS
SELECT d.number, w.carrier_id, w.place, w.cell, w.load * c.part AS load, w.load AS slots, c.part,
    w.saving, w.merchant_id, d.is_in_pool
FROM decision AS d
LEFT JOIN way AS w ON w.number = d.number AND w.carrier_id = d.carrier_id
LEFT JOIN counting AS c ON c.merchant_id = w.merchant_id
WHERE (d.is_premium AND d.reason <> 'EXPLORED')
    OR (d.reason = 'HELD_OUT' AND d.arm IN ('policy', 'margin', 'thompson'));
-- Of each order its saving by the mean of the model, and the plans that choose it:
-- optimizer verify fills this table where savings are drawn.
CREATE TEMP TABLE draw_true (number BIGINT, mean BIGINT, num BIGINT);
CREATE TEMP TABLE pool AS
SELECT d.number, w.place, w.cell, w.saving, w.merchant_id, d.reason
FROM decision AS d
LEFT JOIN way AS w ON w.number = d.number AND w.carrier_id = d.carrier_id
WHERE d.is_in_pool;
CREATE TEMP TABLE explored AS FROM pool WHERE reason = 'EXPLORED';
-- Parcels beside the plan that have a coin with one of it; some take that one's slot.
CREATE TEMP TABLE beside_plan AS
SELECT d.number, w.place, w.saving, w.merchant_id, d.is_premium
FROM decision AS d
LEFT JOIN way AS w ON w.number = d.number AND w.carrier_id = d.carrier_id
WHERE d.arm = 'margin' AND d.number NOT IN (SELECT number FROM chosen);

-- What the plan uses, and what explored orders took before it.
CREATE TEMP TABLE lane_used AS
SELECT l.lane, coalesce(u.load, 0)::BIGINT AS used, coalesce(e.num, 0)::BIGINT AS explored
FROM lane AS l
LEFT JOIN (
    SELECT p.lane, sum(c.load) AS load FROM chosen AS c JOIN path AS p USING (place)
    GROUP BY p.lane
) AS u USING (lane)
LEFT JOIN (
    SELECT p.lane, count(*) AS num FROM explored AS c JOIN path AS p USING (place)
    GROUP BY p.lane
) AS e USING (lane);
CREATE TEMP TABLE cap_used AS
SELECT c.merchant_id, coalesce(u.num, 0)::BIGINT AS used, coalesce(e.num, 0)::BIGINT AS explored
FROM cap AS c
LEFT JOIN (SELECT merchant_id, count(*) AS num FROM chosen GROUP BY 1) AS u USING (merchant_id)
LEFT JOIN (SELECT merchant_id, count(*) AS num FROM explored GROUP BY 1) AS e USING (merchant_id);

-- The limits beside caps and lanes. What a parcel counts for in one: its load, what it
-- takes of the row's resource, one, or its merchant's part. An empty penalty: kept at any price.
CREATE TEMP TABLE depth_of AS SELECT lane, min(depth) AS depth FROM path GROUP BY lane;
SET VARIABLE share_base = (
    SELECT least(
        (SELECT sum(cap) FROM cap),
        (SELECT sum(h.room // getvariable('scale'))
         FROM held AS h
         LEFT JOIN depth_of AS d ON d.lane = h.id
         LEFT JOIN lane_off_path AS o ON o.lane = h.id
         WHERE h.of = 'lane' AND coalesce(d.depth, 1) = 1 AND o.above IS NULL)
    )::BIGINT
);
CREATE TEMP TABLE fairness AS
SELECT
    g.step,
    g.given ->> 'column' AS "column",
    CASE WHEN (g.given ->> 'value') IS NOT NULL THEN [g.given ->> 'value']
        ELSE from_json(g.given -> 'values', '["VARCHAR"]') END AS members,
    CASE
        WHEN (g.given ->> 'min_parcels')::BIGINT > 0 THEN (g.given ->> 'min_parcels')::BIGINT
        WHEN (g.given ->> 'min_parcels') IS NOT NULL THEN 0
        WHEN (g.given ->> 'min_share') IS NOT NULL THEN
            (nano(g.given ->> 'min_share') * getvariable('share_base') + 999999999)
            // 1000000000
    END::BIGINT AS low,
    coalesce(
        (g.given ->> 'max_parcels')::BIGINT,
        nano(g.given ->> 'max_share') * getvariable('share_base') // 1000000000
    )::BIGINT AS high,
    CASE WHEN (g.given ->> 'penalty_cny') IS NOT NULL
        THEN micro(g.given ->> 'penalty_cny') END::BIGINT AS penalty,
    (g.given ->> 'priority')::BIGINT AS priority
FROM (
    SELECT unnest(range(len(list_given))) AS step, unnest(list_given) AS given
    FROM (SELECT from_json(getvariable('config') -> 'fairness', '["JSON"]') AS list_given)
) AS g;
CREATE MACRO row_name(carrier_id, region_id, outlet_id, day, attributes, resource) AS coalesce(nullif(
    concat_ws(', ', 'carrier ' || carrier_id, 'region ' || region_id,
        'outlet ' || outlet_id, 'service_date ' || day,
        nullif(list_aggregate(list_filter(list_transform(
            range(len(attributes)),
            lambda i: regexp_replace(attribute_names()[i + 1], '_id$', '') || ' ' || attributes[i + 1]
        ), lambda text: text IS NOT NULL), 'string_agg', ', '), ''),
        'resource ' || resource), ''), 'all parcels');
CREATE MACRO owner_cap(num_orders) AS num_orders::HUGEINT * getvariable('rate') // 1000000000;

CREATE TEMP TABLE bound_row AS
SELECT row_number() OVER (ORDER BY turn, step) AS id, *
FROM (
    SELECT 1 AS turn, r.id AS step, 'capacity' AS kind,
        row_name(r.carrier_id, r.region_id, r.outlet_id, r.day, r.attributes, r.resource) AS name,
        NULL::BIGINT AS low, h.room AS high, NULL::BIGINT AS penalty, 0 AS priority,
        CASE WHEN r.resource IS NULL THEN 'load' ELSE 'resource' END AS weight,
        getvariable('scale') AS scale, r.number AS capacity_row, r.day,
        NULL::VARCHAR AS owner_id, NULL::BIGINT AS rule, r.resource
    FROM beside_row AS r JOIN held AS h ON h.of = 'row' AND h.id = r.id
    UNION ALL
    SELECT 2, 0, 'capacity', 'parcels that no row takes', NULL, 0, NULL, 0, 'one', 1,
        NULL, NULL, NULL, NULL, NULL
    WHERE EXISTS (FROM shut)
    UNION ALL
    SELECT 3, row_number() OVER (), 'min_parcels',
        row_name(carrier_id, region_id, outlet_id, day, attributes, resource),
        min_parcels, NULL, penalty, priority, 'one', 1, number, day, NULL, NULL, NULL
    FROM laid WHERE min_parcels > 0
    UNION ALL
    SELECT 4, step, 'fairness', "column" || ' ' || list_aggregate(members, 'string_agg', ', '),
        low, high, penalty, priority, 'one', 1, NULL, NULL, NULL, step, NULL
    FROM fairness
    UNION ALL
    SELECT 5, row_number() OVER (), 'owner_cap', 'owner ' || m.owner_id, NULL,
        owner_cap(sum(c.num_orders))::BIGINT, NULL, 0, 'one', 1, NULL, NULL, m.owner_id, NULL, NULL
    FROM cap AS c JOIN merchants AS m USING (merchant_id)
    WHERE m.owner_id IS NOT NULL AND policy_text('$.cap.group') = 'owner'
    GROUP BY m.owner_id
    HAVING sum(c.cap) > owner_cap(sum(c.num_orders))
    UNION ALL
    SELECT 6, 0, 'subsidy', 'subsidy budget', NULL, CASE
        WHEN getvariable('count_rule') = 'recommendations' OR getvariable('scale') > 1
        THEN paid.parcels * getvariable('scale')
        WHEN paid.take_up = 0 THEN greatest(paid.parcels, (SELECT count(*) FROM way))
        ELSE paid.parcels::DECIMAL(38, 24) // paid.take_up
    END::BIGINT, NULL, 0, 'part', getvariable('scale'), NULL, NULL, NULL, NULL, NULL
    FROM (
        SELECT micro(policy_text('subsidy_budget_cny')) * 1000000000
            // (getvariable('fee') * nano(policy_text('$.fee.payer.platform')))
            AS parcels,
            coalesce((SELECT max(take_up) FROM bulk), 1) AS take_up
        WHERE policy_text('subsidy_budget_cny') IS NOT NULL
    ) AS paid
);

-- Which ways count in each: by cell, by merchant, or all.
-- Whether a column of a fairness rule is one of the orders', or of the merchants'.
CREATE MACRO of_orders(name) AS name IN ('carrier_id', 'region_id', 'outlet_id')
    OR name <> 'merchant_id' AND name IN (SELECT column_name FROM orders_columns);
CREATE TEMP TABLE in_cell AS
SELECT b.id, t.cell FROM bound_row AS b
JOIN taking AS t ON t.number = b.capacity_row AND t.day IS NOT DISTINCT FROM b.day
UNION
SELECT b.id, s.cell FROM bound_row AS b, shut AS s WHERE b.turn = 2
UNION
SELECT b.id, c.cell FROM bound_row AS b JOIN fairness AS f ON f.step = b.rule
JOIN cell AS c ON list_contains(f.members, CASE f."column"
    WHEN 'carrier_id' THEN c.carrier_id
    WHEN 'region_id' THEN c.region_id
    WHEN 'outlet_id' THEN c.outlet_id
    ELSE c.further[list_position(further_names(), f."column")]
END)
WHERE of_orders(f."column");
CREATE TEMP TABLE of_merchant AS
SELECT b.id, m.merchant_id FROM bound_row AS b JOIN merchants AS m USING (owner_id)
UNION
SELECT b.id, c.merchant_id FROM bound_row AS b JOIN fairness AS f ON f.step = b.rule
CROSS JOIN cap AS c
LEFT JOIN merchants AS m USING (merchant_id)
WHERE NOT of_orders(f."column") AND list_contains(f.members, CASE f."column"
    WHEN 'merchant_id' THEN c.merchant_id
    ELSE m.facts[list_position(fact_names(), f."column")]
END);

-- What is above its limit is never chosen: it counts as one unit too much, or a million.
CREATE MACRO no_heavier(units, room) AS least(units, greatest(room + 1, 1000000));
-- What each way takes of each row that counts a resource.
CREATE TEMP TABLE resource_entry AS
SELECT b.id, w.number, w.carrier_id, no_heavier(w.amount * c.part, b.high) AS taken
FROM bound_row AS b
JOIN in_cell AS i USING (id)
JOIN way_taking AS w ON w.cell = i.cell AND w.resource = b.resource
JOIN counting AS c USING (merchant_id)
WHERE w.amount > 0;

CREATE MACRO counts_for(weight, load, part, num) AS CASE weight
    WHEN 'load' THEN load WHEN 'part' THEN part * num ELSE num END;
-- Every way in bulk with the limits that it counts in.
CREATE TEMP TABLE entry AS
SELECT r.id, r.weight, b.* FROM bound_row AS r JOIN in_cell AS i USING (id)
JOIN bulk AS b ON b.cell = i.cell
WHERE r.weight <> 'resource'
UNION ALL
SELECT r.id, r.weight, b.* FROM bound_row AS r JOIN of_merchant AS i USING (id)
JOIN bulk AS b ON b.merchant_id = i.merchant_id
UNION ALL
SELECT r.id, r.weight, b.* FROM bound_row AS r, bulk AS b WHERE r.weight = 'part';
CREATE TEMP TABLE limit_used AS
SELECT r.id, coalesce(sum(u.used), 0)::BIGINT AS used
FROM bound_row AS r
LEFT JOIN (
    SELECT i.id, counts_for(b.weight, c.load, c.part, 1) AS used
    FROM in_cell AS i JOIN bound_row AS b USING (id) JOIN chosen AS c USING (cell)
    WHERE b.weight <> 'resource'
    UNION ALL
    SELECT e.id, e.taken FROM resource_entry AS e JOIN chosen AS c USING (number, carrier_id)
    UNION ALL
    SELECT i.id, 1 FROM of_merchant AS i JOIN chosen AS c USING (merchant_id)
    UNION ALL
    SELECT b.id, c.part FROM bound_row AS b, chosen AS c WHERE b.weight = 'part'
) AS u USING (id)
GROUP BY r.id;

-- A limit that no plan can reach has no price and does not make the night a packing
-- problem.
CREATE TEMP TABLE reach AS
SELECT r.id, coalesce(r.low, 0) > 0 OR least(
        coalesce(sum(e.taken), 0),
        coalesce(max(e.heaviest), 0)
            * (SELECT sum(least(cap, (SELECT count(*) FROM decision WHERE kept_out IS NULL)))
               FROM cap)
    ) > coalesce(r.high, 1152921504606846976) AS can_bind
FROM bound_row AS r
LEFT JOIN (
    SELECT id, counts_for(weight, load, part, num_ways) AS taken,
        counts_for(weight, heaviest, part, 1) AS heaviest
    FROM entry
    UNION ALL
    SELECT id, sum(taken), max(taken) FROM resource_entry GROUP BY id
) AS e USING (id)
GROUP BY r.id, r.low, r.high;
SET VARIABLE is_packing = (
    SELECT (SELECT coalesce(bool_or(can_bind), false) FROM reach)
        OR getvariable('has_limits') AND (
            EXISTS (FROM way AS w JOIN counting AS c USING (merchant_id) WHERE w.load * c.part <> 1)
            OR EXISTS (FROM decision WHERE is_pinned AND kept_out IS NULL)
        )
);

-- Published prices of limits, by name, in the order of equal names.
CREATE TEMP TABLE limit_said AS
SELECT b.id, b.kind, b.name, b.nth, b.low, b.high, b.penalty, b.priority, b.weight, b.scale,
    u.used, r.can_bind, s.kind IS NOT NULL AS is_said,
    micro_of(s.shadow_price_cny) AS price,
    CASE WHEN r.can_bind THEN micro_of(s.shadow_price_cny) // b.scale ELSE 0 END AS part_price,
    s.low AS said_low, s.high AS said_high, s.used AS said_used, s.slack AS said_slack,
    s.missing AS said_missing, micro_of(s.penalty_cny) AS said_penalty
FROM (
    SELECT *, row_number() OVER (PARTITION BY kind, name ORDER BY id) AS nth FROM bound_row
) AS b
JOIN limit_used AS u USING (id)
JOIN reach AS r USING (id)
FULL JOIN (
    SELECT *, row_number() OVER (PARTITION BY kind, "limit" ORDER BY file_row_number) AS nth
    FROM rows_said
) AS s ON s.kind = b.kind AND s."limit" = b.name AND s.nth = b.nth;
