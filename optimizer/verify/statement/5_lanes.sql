-- 5. Capacity rows tonight, and what each parcel counts in.
--
-- A row takes every parcel that matches all that it names. Rows of a carrier, and
-- perhaps a region, an outlet and a day, that nest are lanes; all others, and those that
-- count a resource, stand beside them. A place that no row takes has room for nothing, or for everything where the
-- configuration says `open`; one that rows beside the lanes take has the room that
-- these leave.

-- A dated row holds on its day, and there instead of one without a date. Peaks
-- multiply slots, rounded down; parcels of other nights are taken off, down to 0.
CREATE TEMP TABLE expanded AS
SELECT c.number, c.carrier_id, c.region_id, c.outlet_id, d.day, c.attributes, c.resource,
    c.slots, c.min_parcels, c.penalty_cny, c.priority
FROM capacity AS c
JOIN (SELECT DISTINCT day FROM state) AS d ON c.service_date IS NULL OR c.service_date = d.day
QUALIFY row_number() OVER (
    PARTITION BY c.carrier_id, c.region_id, c.outlet_id, d.day, c.attributes, c.resource
    ORDER BY c.service_date IS NULL
) = 1;

CREATE TEMP TABLE peak AS
SELECT
    (given ->> 'from')::DATE AS first_day,
    (given ->> 'to')::DATE AS last_day,
    from_json(given -> 'carriers', '["VARCHAR"]') AS carriers,
    micro(given ->> 'factor') AS factor
FROM (
    SELECT unnest(from_json(getvariable('config') -> '$.capacity.peaks', '["JSON"]')) AS given
);
CREATE MACRO scaled(slots, factors) AS coalesce(list_reduce(
    list_prepend([slots::HUGEINT, 1::HUGEINT], list_transform(factors, lambda f: [
        f // greatest(gcd(f, 1000000::HUGEINT), 1),
        1000000 // greatest(gcd(f, 1000000::HUGEINT), 1)
    ])),
    lambda a, b: [a[1] * b[1], a[2] * b[2]]
), [slots::HUGEINT, 1::HUGEINT]);

CREATE TEMP TABLE in_flight AS FROM in_flight_published;

CREATE TEMP TABLE row_tonight AS
SELECT
    r.number,
    r.carrier_id,
    r.region_id,
    r.outlet_id,
    r.day,
    r.attributes,
    r.resource,
    len(list_filter(r.attributes, lambda a: a IS NOT NULL)) > 0 AS has_attribute,
    coalesce(t.taken, 0) AS taken,
    greatest(0, p.peaked - coalesce(t.taken, 0))::BIGINT AS slots,
    greatest(0, coalesce(r.min_parcels, 0) - coalesce(t.taken, 0))::BIGINT AS min_parcels,
    CASE WHEN r.penalty_cny IS NOT NULL
        THEN round(r.penalty_cny::VARCHAR::DECIMAL(38, 12) * 1000000, 0)::BIGINT
    END AS penalty,
    coalesce(r.priority, 10) AS priority
FROM expanded AS r
JOIN LATERAL (
    SELECT scaled(r.slots, coalesce(list(k.factor), []))[1]
        // scaled(r.slots, coalesce(list(k.factor), []))[2] AS peaked
    FROM peak AS k
    WHERE coalesce(r.day, getvariable('night')) BETWEEN k.first_day AND k.last_day
        AND (len(k.carriers) = 0 OR list_contains(k.carriers, r.carrier_id))
) AS p ON true
LEFT JOIN LATERAL (
    SELECT sum(f.num_slots)::BIGINT AS taken
    FROM in_flight AS f
    WHERE (r.carrier_id IS NULL OR r.carrier_id = f.carrier_id)
        AND (r.region_id IS NULL OR r.region_id = f.region_id)
        AND (r.outlet_id IS NULL OR r.outlet_id = f.outlet_id)
        AND (r.day IS NULL OR r.day = f.service_date)
        AND len(list_filter(r.attributes, lambda a: a IS NOT NULL)) = 0
        AND r.resource IS NULL
) AS t ON true;

-- Cells: the distinct places, days and attributes that parcels may go to.
CREATE TEMP TABLE cell AS
SELECT row_number() OVER () AS cell, * FROM (
    SELECT carrier_id, region_id, outlet_id, day, further, sum(load)::HUGEINT AS demand
    FROM offer
    GROUP BY ALL
);
CREATE TEMP TABLE place AS
SELECT row_number() OVER () AS place, * FROM (
    SELECT carrier_id, region_id, outlet_id, day, sum(demand)::HUGEINT AS demand
    FROM cell
    GROUP BY ALL
);

-- An outlet's row for all regions crosses a region's row that has other outlets too,
-- where the outlet has other regions: then it is no lane.
CREATE TEMP TABLE crossing AS
SELECT DISTINCT w.number, w.day
FROM row_tonight AS w
JOIN place AS p ON p.carrier_id = w.carrier_id AND p.outlet_id = w.outlet_id
    AND p.day IS NOT DISTINCT FROM w.day
JOIN row_tonight AS r ON r.carrier_id = w.carrier_id AND r.region_id = p.region_id
    AND r.outlet_id IS NULL AND r.day IS NOT DISTINCT FROM w.day AND NOT r.has_attribute
    AND r.resource IS NULL
WHERE w.region_id IS NULL AND w.outlet_id IS NOT NULL AND NOT w.has_attribute
    AND w.resource IS NULL
    AND (
        SELECT count(*) FROM place AS q WHERE q.carrier_id = w.carrier_id
            AND q.outlet_id = w.outlet_id AND q.day IS NOT DISTINCT FROM w.day
    ) > 1
    AND (
        SELECT count(*) FROM place AS q WHERE q.carrier_id = w.carrier_id
            AND q.region_id = p.region_id AND q.day IS NOT DISTINCT FROM w.day
    ) > 1;

CREATE TEMP TABLE laid AS
SELECT
    r.*,
    r.carrier_id IS NOT NULL AND NOT r.has_attribute AND r.resource IS NULL
        AND c.number IS NULL AS is_lane
FROM row_tonight AS r
LEFT JOIN crossing AS c ON c.number = r.number AND c.day IS NOT DISTINCT FROM r.day;

CREATE MACRO fits(wanted, value) AS wanted IS NULL OR wanted = value;

-- Cells that each row takes. Attributes come first in what cells know further.
CREATE TEMP TABLE taking AS
SELECT r.number, r.day, c.cell
FROM laid AS r
JOIN cell AS c ON fits(r.carrier_id, c.carrier_id) AND fits(r.region_id, c.region_id)
    AND fits(r.outlet_id, c.outlet_id) AND fits(r.day, c.day)
WHERE (NOT r.is_lane OR r.min_parcels > 0)
    AND (NOT r.has_attribute OR len(list_filter(
        list_zip(r.attributes, c.further),
        lambda pair: NOT coalesce(fits(pair[1], pair[2]), false)
    )) = 0);

-- Cells that a row beside the lanes gives room to.
CREATE TEMP TABLE beside AS
SELECT DISTINCT t.cell
FROM taking AS t
JOIN laid AS r ON r.number = t.number AND r.day IS NOT DISTINCT FROM t.day
WHERE NOT r.is_lane;

CREATE TEMP TABLE lane AS
SELECT
    row_number() OVER () AS lane, *
FROM (
    SELECT carrier_id, region_id, outlet_id, day, slots, taken AS in_flight,
        false AS is_loose, false AS is_beside
    FROM laid WHERE is_lane
    UNION ALL
    -- Places that no lane takes.
    SELECT p.carrier_id, p.region_id, p.outlet_id, p.day,
        CASE WHEN getvariable('is_open') OR b.place IS NOT NULL THEN p.demand ELSE 0
            END::BIGINT,
        0,
        true,
        b.place IS NOT NULL
    FROM place AS p
    LEFT JOIN (
        SELECT DISTINCT q.place FROM place AS q
        JOIN cell AS c ON c.carrier_id = q.carrier_id AND c.region_id = q.region_id
            AND c.outlet_id IS NOT DISTINCT FROM q.outlet_id
            AND c.day IS NOT DISTINCT FROM q.day
        JOIN beside USING (cell)
    ) AS b ON b.place = p.place
    WHERE NOT EXISTS (
        SELECT 1 FROM laid AS r WHERE r.is_lane AND r.carrier_id = p.carrier_id
            AND fits(r.region_id, p.region_id) AND fits(r.outlet_id, p.outlet_id)
            AND r.day IS NOT DISTINCT FROM p.day
    )
);

-- The lanes that each place counts in, the widest first: that with most places.
CREATE TEMP TABLE path AS
WITH counting_in AS (
    SELECT p.place, l.lane, (l.region_id IS NOT NULL)::INT
            + 2 * (l.outlet_id IS NOT NULL)::INT AS how
    FROM place AS p
    JOIN lane AS l ON l.carrier_id = p.carrier_id AND l.day IS NOT DISTINCT FROM p.day
        AND fits(l.region_id, p.region_id) AND fits(l.outlet_id, p.outlet_id)
        AND (NOT l.is_loose OR l.outlet_id IS NOT DISTINCT FROM p.outlet_id)
)
SELECT place, lane, row_number() OVER (PARTITION BY place ORDER BY width DESC, how) AS depth,
    count(*) OVER (PARTITION BY place) AS num_lanes
FROM (SELECT *, count(*) OVER (PARTITION BY lane) AS width FROM counting_in);

-- A row that no order falls in is inside its region's row, or else its outlet's, or else
-- its carrier's.
CREATE TEMP TABLE lane_off_path AS
SELECT l.lane, arg_min(w.lane,
    (w.region_id IS NULL)::INT + (w.region_id IS NULL AND w.outlet_id IS NULL)::INT) AS above
FROM lane AS l
LEFT JOIN lane AS w ON w.carrier_id = l.carrier_id AND w.day IS NOT DISTINCT FROM l.day
    AND NOT w.is_loose AND w.lane <> l.lane
    AND (w.region_id IS NULL OR w.outlet_id IS NULL)
    AND (w.region_id IS NULL OR w.region_id IS NOT DISTINCT FROM l.region_id)
    AND (w.outlet_id IS NULL OR w.outlet_id IS NOT DISTINCT FROM l.outlet_id)
WHERE l.lane NOT IN (SELECT lane FROM path)
GROUP BY l.lane;

-- check: the lanes nest, so that each has one lane around it
CREATE TEMP TABLE check_nesting AS
SELECT lane::VARCHAR AS item, 1 AS published, count(DISTINCT above) AS restated
FROM (
    SELECT lane, coalesce(lag(lane) OVER (PARTITION BY place ORDER BY depth), 0) AS above
    FROM path
)
GROUP BY lane HAVING count(DISTINCT above) > 1;
