-- The report's figures, once more from the tables that were checked above.
CREATE TEMP TABLE lanes_out AS
SELECT *, coalesce(one_more_around_cny, shadow_price_cny) AS around FROM table_of('lanes.parquet');
CREATE TEMP TABLE merchants_out AS
SELECT *, coalesce(one_more_cny, shadow_price_cny) AS around FROM table_of('merchants.parquet');
CREATE TEMP TABLE nights_out AS
SELECT *, round(saving_cny / greatest(1, num_chosen), 6) AS each,
    round(num_chosen / greatest(1, sum_of_caps), 6) AS cap_use
FROM table_of('nights.parquet');
-- Tonight is compared with the seven days before; those before that are lines alone.
CREATE TEMP TABLE week_out AS
SELECT *, row_number() OVER (ORDER BY date) AS step, count(*) OVER () AS num_nights
FROM nights_out WHERE date >= getvariable('night') - 7;
CREATE TEMP TABLE compared AS
SELECT date, step, num_nights, unnest(['saving', 'num_chosen', 'each', 'cap_use']) AS name,
    unnest([saving_cny, num_chosen, each, cap_use]) AS value
FROM week_out WHERE num_nights > 1;
-- A carrier's, or a region's, use: on each day of the row for the whole, or of those
-- inside it; days are added up.
CREATE TEMP TABLE region_by_day AS
SELECT carrier_id, region_id, service_date,
    CASE WHEN bool_or(outlet_id IS NULL) THEN sum(slots) FILTER (outlet_id IS NULL) ELSE sum(slots) END AS slots,
    CASE WHEN bool_or(outlet_id IS NULL) THEN sum(used) FILTER (outlet_id IS NULL) ELSE sum(used) END AS used,
    max(around) AS around
FROM lanes_out WHERE region_id IS NOT NULL GROUP BY carrier_id, region_id, service_date;
CREATE TEMP TABLE region_use AS
SELECT carrier_id, region_id, sum(slots) AS slots, sum(used) AS used, max(around) AS around
FROM region_by_day GROUP BY carrier_id, region_id;
CREATE TEMP TABLE carrier_use AS
WITH whole AS (
    SELECT carrier_id, service_date, slots, used, one_more_cny AS alone
    FROM lanes_out WHERE region_id IS NULL AND outlet_id IS NULL
), inside AS (
    SELECT carrier_id, service_date, slots, used FROM region_by_day
    UNION ALL
    SELECT carrier_id, service_date, slots, used FROM lanes_out
    WHERE region_id IS NULL AND outlet_id IS NOT NULL
)
SELECT c.*, d.around, row_number() OVER (ORDER BY c.slots DESC, c.carrier_id) AS turn FROM (
    SELECT carrier_id, sum(slots) AS slots, sum(used) AS used,
        CASE WHEN count(*) = 1 THEN any_value(alone) END AS alone
    FROM (
        FROM whole
        UNION ALL
        SELECT i.*, NULL FROM inside AS i WHERE NOT EXISTS (
            FROM whole AS w WHERE w.carrier_id = i.carrier_id
                AND w.service_date IS NOT DISTINCT FROM i.service_date)
    ) GROUP BY carrier_id
) AS c
JOIN (SELECT carrier_id, max(around) AS around FROM lanes_out GROUP BY carrier_id) AS d USING (carrier_id);
CREATE TEMP TABLE cell_use AS
SELECT * FROM region_use
WHERE carrier_id IN (SELECT carrier_id FROM carrier_use WHERE turn <= 8)
    AND region_id IN (
        SELECT region_id FROM region_use GROUP BY region_id
        ORDER BY sum(slots) DESC, region_id LIMIT 40
    );
CREATE TEMP TABLE top_lane AS
SELECT concat_ws(' ', rtrim(concat(carrier_id, '/', coalesce(region_id, ''), '/',
    coalesce(outlet_id, '')), '/'), service_date) AS item, *
FROM lanes_out WHERE around > 0
ORDER BY around DESC, carrier_id, region_id NULLS FIRST, outlet_id NULLS FIRST,
    service_date NULLS FIRST LIMIT 20;
CREATE TEMP TABLE top_merchant AS
SELECT merchant_id AS item, *
FROM merchants_out WHERE around > 0
ORDER BY around DESC, merchant_id LIMIT 20;
CREATE TEMP TABLE broken_rule AS
SELECT source, "column", rule, count(*) AS num FROM table_of('quarantine.parquet') GROUP BY ALL;

CREATE TEMP TABLE figure_true AS
SELECT 'night' AS section, NULL::VARCHAR AS item, name AS figure, claim('$.summary.' || CASE
    WHEN name = 'saving_cny' AND getvariable('num_plans') IS NOT NULL THEN 'draw.mean_saving_cny'
    ELSE name END)::DOUBLE AS value
FROM (SELECT unnest(['saving_cny', 'num_chosen', 'num_orders', 'sum_of_caps', 'num_merchants',
    'num_merchants_with_cap', 'num_quarantined', 'penalties_cny']) AS name)
UNION ALL
-- (What is expected is by the mean; the draw that decided is named as drawn.)
SELECT 'night', NULL, 'drawn_saving_cny', on_draws(claim('$.summary.saving_cny')::DOUBLE)
UNION ALL
SELECT 'proof', NULL, name || '_cny', claim('$.certificate.' || name)::BIGINT::DOUBLE / 1e6
FROM (SELECT unnest(['dual_bound', 'primal_bound', 'gap']) AS name)
UNION ALL SELECT 'proof', NULL, 'relative_gap', claim('$.certificate.relative_gap')::DOUBLE
UNION ALL
SELECT 'night', who, what, claim('$.summary.' || what || '.' || who)::DOUBLE
FROM (SELECT unnest(['total', 'merchant', 'platform', 'consumer', 'recipient']) AS who)
CROSS JOIN (SELECT unnest(['fees_cny', 'largest_compensation_cny']) AS what)
UNION ALL
SELECT 'night', NULL, 'num_warnings', json_array_length(said, '$.warnings') FROM record
UNION ALL
SELECT 'realised', one.item, f.figure, json_extract_string(one.said, '$.' || f.figure)::DOUBLE
FROM (
    SELECT NULL AS item, json_extract(said, '$.realised') AS said FROM record
    UNION ALL
    SELECT kind.kind || ': ' || json_extract_string(kind.said, '$.name'), kind.said FROM (
        SELECT 'night' AS kind,
            unnest(from_json(json_extract(said, '$.realised.by_night'), '["JSON"]')) AS said FROM record
        UNION ALL
        SELECT 'carrier',
            unnest(from_json(json_extract(said, '$.realised.by_carrier'), '["JSON"]')) FROM record
    ) AS kind
) AS one
CROSS JOIN (SELECT unnest(['num_parcels', 'promised_cny', 'realised_cny', 'low', 'high', 'likely_cny',
    'num_nights']) AS figure) AS f
UNION ALL
SELECT 'nights', n.date::VARCHAR, f.figure, CASE f.figure
    WHEN 'num_orders' THEN n.num_orders WHEN 'num_chosen' THEN n.num_chosen
    WHEN 'saving' THEN n.saving_cny WHEN 'each' THEN n.each
    WHEN 'cap_use' THEN n.cap_use ELSE n.relative_gap END
FROM nights_out AS n CROSS JOIN (SELECT unnest(['num_orders', 'num_chosen', 'saving', 'each',
    'cap_use', 'relative_gap']) AS figure) AS f
UNION ALL
SELECT 'compared', l.date::VARCHAR, f.name || '_change', CASE
    WHEN l.value <> 0 THEN round((t.value - l.value) / abs(l.value), 6) END
FROM (SELECT unnest(['saving', 'num_chosen', 'each', 'cap_use']) AS name) AS f
JOIN compared AS t ON t.name = f.name AND t.step = t.num_nights
JOIN compared AS l ON l.name = f.name AND l.step = l.num_nights - 1
UNION ALL
SELECT 'compared', (SELECT date::VARCHAR FROM week_out WHERE step = num_nights - 1), c.name || '_mean',
    CASE WHEN c.name = 'num_chosen' THEN round_even(avg(c.value), 0) ELSE round(avg(c.value), 6) END
FROM compared AS c WHERE c.step < c.num_nights GROUP BY c.name
UNION ALL
SELECT 'compared', NULL, 'num_nights', num_nights - 1 FROM week_out WHERE step = 1 AND num_nights > 1
UNION ALL
SELECT 'chance', NULL, name, claim('$.summary.experiment.' || name)::DOUBLE
FROM (SELECT unnest(['num_kept_back', 'num_explored', 'num_explore_standard', 'kept_back_cost_cny',
    'explored_saving_cny', 'explore_cost_at_most_cny', 'num_coins', 'num_swapped',
    'coin_cost_cny', 'expected_coin_cost_cny']) AS name)
UNION ALL
SELECT 'reasons', name, 'num_orders', claim('$.summary.reasons.' || name)::DOUBLE
FROM (SELECT unnest(['CHOSEN', 'NO_SAVING', 'CAP_ZERO', 'CAP_FULL', 'CAPACITY_FULL', 'CAP_AND_CAPACITY',
    'INELIGIBLE', 'CARRIER_INACTIVE', 'PINNED_OUT', 'HELD_OUT', 'EXPLORED', 'BUDGET',
    'NO_OPTION', 'NOT_DELIVERABLE']) AS name)
UNION ALL
SELECT 'carriers', carrier_id, f.figure, CASE f.figure
    WHEN 'slots' THEN slots WHEN 'used' THEN used WHEN 'one_more_cny' THEN alone ELSE around END
FROM carrier_use CROSS JOIN (SELECT unnest(['slots', 'used', 'one_more_cny', 'one_more_around_cny']) AS figure) AS f
WHERE turn <= 12
UNION ALL
SELECT 'regions', carrier_id || '/' || region_id, f.figure, CASE f.figure
    WHEN 'slots' THEN slots WHEN 'used' THEN used ELSE around END
FROM cell_use CROSS JOIN (SELECT unnest(['slots', 'used', 'one_more_around_cny']) AS figure) AS f
UNION ALL SELECT 'capacity', NULL, 'num_carriers', count(*) FROM carrier_use
UNION ALL SELECT 'capacity', NULL, 'num_regions', count(DISTINCT region_id) FROM region_use
UNION ALL SELECT 'capacity', NULL, 'most_of_one_more_cny', coalesce(max(around), 0) FROM cell_use
UNION ALL
SELECT 'lanes', item, f.figure, CASE f.figure
    WHEN 'used' THEN used WHEN 'slots' THEN slots WHEN 'shadow_price_cny' THEN shadow_price_cny
    WHEN 'one_more_cny' THEN one_more_cny WHEN 'one_fewer_cny' THEN one_fewer_cny
    WHEN 'one_more_around_cny' THEN one_more_around_cny ELSE one_fewer_around_cny END
FROM top_lane CROSS JOIN (SELECT unnest(['used', 'slots', 'shadow_price_cny', 'one_more_cny',
    'one_fewer_cny', 'one_more_around_cny', 'one_fewer_around_cny']) AS figure) AS f
UNION ALL
SELECT 'merchants', item, f.figure, CASE f.figure
    WHEN 'used' THEN used WHEN 'cap' THEN cap WHEN 'num_orders' THEN num_orders
    WHEN 'shadow_price_cny' THEN shadow_price_cny WHEN 'one_more_cny' THEN one_more_cny ELSE one_fewer_cny END
FROM top_merchant CROSS JOIN (SELECT unnest(['num_orders', 'used', 'cap', 'shadow_price_cny',
    'one_more_cny', 'one_fewer_cny']) AS figure) AS f
UNION ALL SELECT 'merchants', NULL, 'num_priced_lanes', count(*) FROM lanes_out WHERE around > 0
UNION ALL SELECT 'merchants', NULL, 'num_priced_merchants', count(*) FROM merchants_out WHERE around > 0
UNION ALL SELECT 'merchants', NULL, 'num_without_slots', count(*) FROM merchants_out WHERE cap = 0
UNION ALL SELECT 'merchants', NULL, 'num_waiting', count(*) FROM merchants_out WHERE cap = 0 AND around > 0
UNION ALL
SELECT 'limits', kind || ': ' || "limit", f.figure, CASE f.figure
    WHEN 'low' THEN low WHEN 'used' THEN used WHEN 'high' THEN high ELSE shadow_price_cny END
FROM (SELECT * FROM rows_said ORDER BY abs(shadow_price_cny) DESC, kind, "limit" LIMIT 20)
CROSS JOIN (SELECT unnest(['low', 'used', 'high', 'shadow_price_cny']) AS figure) AS f
UNION ALL
SELECT 'conflicts', kind || ': ' || "limit", f.figure, CASE f.figure
    WHEN 'asked' THEN asked WHEN 'reached' THEN reached ELSE priority END
FROM (SELECT * FROM conflicts_said ORDER BY file_row_number LIMIT 20)
CROSS JOIN (SELECT unnest(['asked', 'reached', 'priority']) AS figure) AS f
UNION ALL SELECT 'limits', NULL, 'num_limits', count(*) FROM rows_said
UNION ALL SELECT 'limits', NULL, 'num_conflicts', count(*) FROM conflicts_said
UNION ALL
SELECT 'quarantine', concat(source, '.', "column", ' ', rule), 'num_rows', num FROM (
    FROM broken_rule ORDER BY num DESC, source, "column", rule LIMIT 20)
UNION ALL SELECT 'quarantine', NULL, 'num_rules', count(*) FROM broken_rule
UNION ALL
SELECT 'inputs', name, f.figure, CASE f.figure
    WHEN 'num_rows' THEN claim('$.inputs.' || name || '.num_rows')::DOUBLE
    ELSE json_array_length((SELECT said FROM record), '$.inputs.' || name || '.files') END
FROM (SELECT unnest(json_keys(said, '$.inputs')) AS name FROM record)
CROSS JOIN (SELECT unnest(['num_rows', 'num_files']) AS figure) AS f
UNION ALL
SELECT 'rules', NULL, name, objective_text(name)::DOUBLE
FROM (SELECT unnest(['complaint_cost_cny', 'return_cost_cny', 'fee_share']) AS name)
UNION ALL SELECT 'rules', NULL, 'cap_rate', policy_text('$.cap.rate')::DOUBLE
UNION ALL SELECT 'rules', NULL, 'fee_cny', policy_text('$.fee.amount_cny')::DOUBLE
UNION ALL SELECT 'rules', NULL, 'compensation_cny', policy_text('$.compensation.amount_cny')::DOUBLE
UNION ALL
SELECT 'rules', who, 'fee_payer_share', policy_text(('$.fee.payer.' || who))::DOUBLE
FROM (SELECT unnest(['consumer', 'merchant', 'platform']) AS who);

-- check: every figure of the report
CREATE TEMP TABLE check_figures AS
WITH own AS (
    SELECT section, item, figure, value FROM figure_true WHERE value IS NOT NULL
), theirs AS (
    SELECT section, item, figure, value, abs(value) AS size, CASE
        WHEN figure IN ('each', 'cap_use') OR section = 'compared' THEN 0.0000011 ELSE 0
    END AS doubt
    FROM table_of('figures.parquet')
)
SELECT concat_ws(' ', t.section, t.item, t.figure) AS item, t.value AS published,
    any_value(o.value) AS restated
FROM theirs AS t
LEFT JOIN own AS o ON o.section = t.section AND o.item IS NOT DISTINCT FROM t.item
    AND o.figure = t.figure
GROUP BY t.section, t.item, t.figure, t.value, t.doubt
HAVING coalesce(min(abs(o.value - t.value)) > t.doubt, true)
UNION ALL
SELECT concat_ws(' ', section, item, figure), NULL, any_value(value) FROM own AS o
WHERE NOT EXISTS (
    FROM theirs AS t WHERE t.section = o.section AND t.item IS NOT DISTINCT FROM o.item
        AND t.figure = o.figure
)
GROUP BY section, item, figure
UNION ALL
SELECT concat_ws(' ', t.section, t.item, t.figure), t.num, o.num
FROM (SELECT section, item, figure, count(*) AS num FROM theirs GROUP BY ALL) AS t
JOIN (SELECT section, item, figure, count(*) AS num FROM own GROUP BY ALL) AS o
    ON o.section = t.section AND o.item IS NOT DISTINCT FROM t.item
    AND o.figure = t.figure
WHERE t.num <> o.num;
