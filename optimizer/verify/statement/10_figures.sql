-- 10. Every figure of run.json, of nights.parquet and of the report.

CREATE TEMP TABLE reason_count AS
SELECT reason, count(*) AS num FROM decision GROUP BY reason;
CREATE MACRO num_of(name) AS coalesce((SELECT num FROM reason_count WHERE reason = name), 0);
SET VARIABLE num_chosen = (SELECT num_of('CHOSEN') + num_of('EXPLORED'));
SET VARIABLE kept_back = (
    SELECT coalesce(sum(c.saving), 0) FROM chosen AS c JOIN decision AS d USING (number)
    WHERE d.reason = 'HELD_OUT'
);
SET VARIABLE explored_saving = (SELECT coalesce(sum(saving), 0) FROM explored);
SET VARIABLE saving = getvariable('planned') + getvariable('explored_saving') - getvariable('kept_back');
-- The most that what is reserved for exploring could have brought.
SET VARIABLE reserved = (
    SELECT coalesce(sum(u.explored::HUGEINT * c.price), 0)
    FROM cap_used AS u JOIN cap_said AS c USING (merchant_id)
) + (
    SELECT coalesce(sum(u.explored::HUGEINT * s.part_price), 0)
    FROM lane_used AS u JOIN lane_said AS s USING (lane)
) + (
    SELECT coalesce(sum(greatest(v.surplus, 0)::HUGEINT), 0)
    FROM verdict AS v JOIN decision AS d USING (number) WHERE d.is_in_pool
);

-- What each way of rounding caps would give tonight's merchants, overrides aside.
CREATE TEMP TABLE rounding AS
SELECT
    floor_cap,
    (num_orders::HUGEINT * getvariable('rate') * getvariable('window_days') // 1000000000)
        AS window_cap,
    floor_cap + coalesce((
        frac > 0 AND num_open > floor_cap
        AND turn <= total // 1000000000
    )::INT, 0) AS pooled_cap
FROM (
    SELECT *, sum(frac) OVER () AS total, row_number() OVER (
        PARTITION BY frac > 0 AND num_open > floor_cap ORDER BY frac DESC, merchant_id
    ) AS turn
    FROM (
        SELECT *, num_orders::HUGEINT * getvariable('rate') % 1000000000 AS frac FROM own
    )
);

CREATE MACRO policy_key(way) AS exact(policy_text(way));
CREATE MACRO fees(share) AS (
    getvariable('fee') * getvariable('num_chosen') * (share * 1000000000)::HUGEINT
);
-- An exact amount of 10^-15 CNY as it is written.
CREATE MACRO written(amount) AS concat(amount // 1000000000000000, CASE
    WHEN amount % 1000000000000000 = 0 THEN ''
    ELSE '.' || rtrim(lpad((amount % 1000000000000000)::VARCHAR, 15, '0'), '0')
END);

CREATE MACRO on_chance(number) AS CASE
    WHEN getvariable('hold_share') > 0 OR getvariable('explore_share') > 0
    THEN number::VARCHAR
END;

CREATE TEMP TABLE summary_true AS
SELECT * FROM (VALUES
    ('num_orders', (SELECT count(*) FROM decision)::VARCHAR),
    ('num_quarantined', (SELECT count(DISTINCT row) FROM refused WHERE source = 'orders')::VARCHAR),
    ('num_merchants', (SELECT count(*) FROM cap)::VARCHAR),
    ('num_merchants_with_cap', (SELECT count(*) FROM cap WHERE cap > 0)::VARCHAR),
    ('num_lanes', (SELECT count(*) FROM lane)::VARCHAR),
    ('num_chosen', getvariable('num_chosen')::VARCHAR),
    ('sum_of_caps', (SELECT coalesce(sum(cap), 0) FROM cap)::VARCHAR),
    ('num_in_flight', (SELECT coalesce(sum(in_flight), 0) FROM lane)::VARCHAR),
    ('num_caps_binding', (SELECT count(*) FROM cap_said AS c JOIN cap_used AS u USING (merchant_id)
        WHERE c.price > 0 AND c.cap - u.explored > 0)::VARCHAR),
    ('num_lanes_binding', (SELECT count(*) FROM lane_said WHERE price > 0)::VARCHAR),
    ('problem_class', CASE WHEN getvariable('is_packing') THEN 'packing' ELSE 'network' END),
    ('cap_roundings.floor.num_slots', (SELECT coalesce(sum(floor_cap), 0) FROM rounding)::VARCHAR),
    ('cap_roundings.floor.num_merchants_without', (SELECT count(*) FROM rounding WHERE floor_cap = 0)::VARCHAR),
    ('cap_roundings.pooled.num_slots', (SELECT coalesce(sum(pooled_cap), 0) FROM rounding)::VARCHAR),
    ('cap_roundings.pooled.num_merchants_without', (SELECT count(*) FROM rounding WHERE pooled_cap = 0)::VARCHAR),
    ('cap_roundings.carryover.num_merchants_without', (SELECT count(*) FROM rounding WHERE window_cap = 0)::VARCHAR),
    ('fees_cny.total', written(fees(1))),
    ('fees_cny.merchant', written(fees(policy_key('$.fee.payer.merchant')))),
    ('fees_cny.platform', written(fees(policy_key('$.fee.payer.platform')))),
    ('fees_cny.consumer', written(fees(policy_key('$.fee.payer.consumer')))),
    ('largest_compensation_cny.' || policy_text('$.compensation.payee'), written(
        micro(policy_text('$.compensation.amount_cny'))
        * getvariable('num_chosen') * 1000000000)),
    ('num_limits', (SELECT nullif(count(*), 0) FROM bound_row)::VARCHAR),
    ('num_limits_binding', (SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (part_price <> 0) END
        FROM limit_said)::VARCHAR),
    ('num_conflicts', CASE WHEN getvariable('is_packing') OR EXISTS (FROM clash)
        THEN (SELECT count(*) FROM clash)::VARCHAR END),
    ('experiment.num_kept_back', on_chance((SELECT count(*) FROM decision
        WHERE arm = 'policy' AND reason = 'HELD_OUT'))),
    ('experiment.num_explored', on_chance((SELECT count(*) FROM decision
        WHERE arm = 'explore' AND reason = 'EXPLORED'))),
    ('experiment.num_explore_standard', on_chance((SELECT count(*) FROM decision
        WHERE arm = 'explore' AND reason = 'HELD_OUT')))
) AS summary(item, restated)
UNION ALL
SELECT 'reasons.' || name, num_of(name)::VARCHAR FROM (
    SELECT unnest(['CHOSEN', 'NO_SAVING', 'CAP_ZERO', 'CAP_FULL', 'CAPACITY_FULL',
        'CAP_AND_CAPACITY', 'INELIGIBLE', 'CARRIER_INACTIVE', 'PINNED_OUT', 'HELD_OUT',
        'EXPLORED']) AS name
)
UNION ALL
SELECT 'reasons.BUDGET', nullif(num_of('BUDGET'), 0)::VARCHAR;

-- check: the figures of the summary
CREATE TEMP VIEW check_summary AS
SELECT 'summary.' || item AS item, claim('$.summary.' || item) AS published, restated
FROM summary_true WHERE published IS DISTINCT FROM restated;
-- check: its amounts, which are written as numbers
CREATE TEMP TABLE amount_true AS
SELECT * FROM (VALUES
    ('saving_cny', getvariable('saving')::DOUBLE / 1e6),
    ('penalties_cny', CASE WHEN getvariable('is_packing') THEN getvariable('penalties')::DOUBLE / 1e6 END),
    ('cap_roundings.carryover.num_slots',
        (SELECT coalesce(sum(window_cap), 0) FROM rounding)::DOUBLE / getvariable('window_days')),
    ('experiment.kept_back_cost_cny', CASE WHEN on_chance(0) IS NOT NULL
        THEN getvariable('kept_back')::DOUBLE / 1e6 END),
    ('experiment.explored_saving_cny', CASE WHEN on_chance(0) IS NOT NULL
        THEN getvariable('explored_saving')::DOUBLE / 1e6 END),
    ('experiment.explore_cost_at_most_cny', CASE WHEN on_chance(0) IS NOT NULL
        THEN (getvariable('reserved') - getvariable('explored_saving'))::DOUBLE / 1e6 END)
) AS amounts(item, restated);
CREATE TEMP VIEW check_amounts AS
SELECT 'summary.' || item AS item, claim('$.summary.' || item)::DOUBLE AS published, restated
FROM amount_true
WHERE (published IS NULL) <> (restated IS NULL) OR abs(published - restated)
    > CASE WHEN item LIKE '%num_slots' THEN 0.0500001 ELSE 0 END;

-- check: no other figure stands in the summary
CREATE TEMP VIEW check_no_other AS
SELECT way AS item, 'published' AS published, NULL AS restated
FROM (
    SELECT replace(fullkey, '$.', '') AS way, type
    FROM record, json_tree(record.said, '$.summary')
)
WHERE type NOT IN ('OBJECT', 'ARRAY')
    AND replace(way, 'summary.', '') NOT IN (SELECT item FROM summary_true)
    AND replace(way, 'summary.', '') NOT IN (SELECT item FROM amount_true);

-- check: what the certificate says beside its bounds
CREATE TEMP VIEW check_certificate AS
SELECT 'certificate.' || item AS item, claim('$.certificate.' || item) AS published, restated
FROM (VALUES
    ('is_feasible', 'true'),
    ('violations', '[]'),
    ('num_conflicts', CASE WHEN getvariable('is_packing') THEN (SELECT count(*) FROM clash)::VARCHAR END),
    ('bound', CASE WHEN NOT getvariable('is_packing') THEN NULL
        WHEN getvariable('by_lanes') THEN 'whole lanes' ELSE 'prices' END),
    ('holds_for', CASE WHEN NOT getvariable('is_packing') THEN NULL
        WHEN EXISTS (FROM clash) THEN 'plans that break no floor and no pin more than this one'
        ELSE 'all plans' END),
    ('counting.rule', nullif(getvariable('count_rule'), 'recommendations')),
    ('counting.unit', CASE WHEN getvariable('count_rule') <> 'recommendations' THEN
        CASE WHEN getvariable('scale') = 1 THEN 'recommendations' ELSE 'purchases' END END),
    ('counting.parts_of_a_parcel', CASE WHEN getvariable('count_rule') <> 'recommendations'
        THEN getvariable('scale')::VARCHAR END),
    ('counting.quantile', CASE WHEN getvariable('count_rule') = 'quantile'
        THEN config_text('$.capacity.quantile') END)
) AS certificate(item, restated)
WHERE published IS DISTINCT FROM restated
UNION ALL
SELECT 'problem_class', claim('$.problem_class'),
    CASE WHEN getvariable('is_packing') THEN 'packing' ELSE 'network' END
WHERE claim('$.problem_class') <> CASE WHEN getvariable('is_packing') THEN 'packing' ELSE 'network' END
UNION ALL
SELECT 'certificate.relative_gap', claim('$.certificate.relative_gap'),
    ((getvariable('dual_bound') - getvariable('primal_bound'))::DOUBLE
        / greatest(1, abs(getvariable('primal_bound')))::DOUBLE)::VARCHAR
WHERE abs(claim('$.certificate.relative_gap')::DOUBLE
    - (getvariable('dual_bound') - getvariable('primal_bound'))::DOUBLE
        / greatest(1, abs(getvariable('primal_bound')))::DOUBLE) > 1e-15;

-- check: why the solver stopped agrees with what is proved
CREATE TEMP VIEW check_termination AS
SELECT 'termination' AS item,
    concat_ws(' ', claim('$.termination.reason'), claim('$.termination.limit')) AS published,
    'a gap of ' || (getvariable('dual_bound') - getvariable('primal_bound')) AS restated
WHERE (claim('$.termination.reason') = 'OPTIMAL')
        IS DISTINCT FROM (getvariable('dual_bound') = getvariable('primal_bound'))
    OR (claim('$.termination.limit') IS NULL)
        IS DISTINCT FROM (claim('$.termination.reason') = 'OPTIMAL');

-- check: tonight stands last in the table of nights, as the record says
CREATE TEMP VIEW check_tonight AS
WITH own AS (
    SELECT getvariable('night') AS date, (SELECT count(*) FROM decision) AS num_orders,
        getvariable('num_chosen') AS num_chosen, (SELECT coalesce(sum(cap), 0) FROM cap) AS sum_of_caps,
        getvariable('saving')::DOUBLE / 1e6 AS saving_cny,
        claim('$.summary.fees_cny.total')::DOUBLE AS fees_cny,
        claim('$.certificate.relative_gap')::DOUBLE AS relative_gap,
        claim('$.summary.num_quarantined')::BIGINT AS num_quarantined,
        json_array_length((SELECT said FROM record), '$.warnings')::BIGINT AS num_warnings,
        NULL::VARCHAR AS run_id
)
SELECT 'nights.parquet' AS item, t::VARCHAR AS published, own::VARCHAR AS restated
FROM own LEFT JOIN table_of('nights.parquet') AS t ON t.date = own.date
WHERE t.date IS NULL OR t.num_orders <> own.num_orders OR t.num_chosen <> own.num_chosen
    OR t.sum_of_caps <> own.sum_of_caps OR t.saving_cny <> own.saving_cny
    OR t.fees_cny <> own.fees_cny OR t.relative_gap <> own.relative_gap
    OR t.num_quarantined <> own.num_quarantined OR t.num_warnings <> own.num_warnings
    OR t.run_id IS NOT NULL;

-- The report's figures, once more from the tables that were checked above.
CREATE TEMP TABLE lanes_out AS
SELECT *, coalesce(one_more_around_cny, shadow_price_cny) AS around FROM table_of('lanes.parquet');
CREATE TEMP TABLE merchants_out AS
SELECT *, coalesce(one_more_cny, shadow_price_cny) AS around FROM table_of('merchants.parquet');
CREATE TEMP TABLE nights_out AS
SELECT *, row_number() OVER (ORDER BY date) AS step, count(*) OVER () AS num_nights,
    round(saving_cny / greatest(1, num_chosen), 6) AS each,
    round(num_chosen / greatest(1, sum_of_caps), 6) AS cap_use
FROM table_of('nights.parquet');
CREATE TEMP TABLE compared AS
SELECT date, step, num_nights, unnest(['saving', 'num_chosen', 'each', 'cap_use']) AS name,
    unnest([saving_cny, num_chosen, each, cap_use]) AS value
FROM nights_out WHERE num_nights > 1;
-- A carrier's, or a region's, use: of the row for the whole, or of those inside it.
CREATE TEMP TABLE region_use AS
SELECT carrier_id, region_id,
    CASE WHEN bool_or(outlet_id IS NULL) THEN sum(slots) FILTER (outlet_id IS NULL) ELSE sum(slots) END AS slots,
    CASE WHEN bool_or(outlet_id IS NULL) THEN sum(used) FILTER (outlet_id IS NULL) ELSE sum(used) END AS used,
    max(around) AS around
FROM lanes_out WHERE region_id IS NOT NULL GROUP BY carrier_id, region_id;
CREATE TEMP TABLE carrier_use AS
SELECT c.*, d.around, row_number() OVER (ORDER BY c.slots DESC, c.carrier_id) AS turn FROM (
    SELECT carrier_id, slots, used, one_more_cny AS alone
    FROM lanes_out WHERE region_id IS NULL AND outlet_id IS NULL
    UNION ALL
    SELECT carrier_id, sum(slots), sum(used), NULL FROM (
        SELECT carrier_id, slots, used FROM region_use
        UNION ALL
        SELECT carrier_id, slots, used FROM lanes_out
        WHERE region_id IS NULL AND outlet_id IS NOT NULL
    ) WHERE carrier_id NOT IN (
        SELECT carrier_id FROM lanes_out WHERE region_id IS NULL AND outlet_id IS NULL
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
SELECT rtrim(concat(carrier_id, '/', coalesce(region_id, ''), '/', coalesce(outlet_id, '')), '/')
    AS item, *
FROM lanes_out WHERE around > 0
ORDER BY around DESC, carrier_id, region_id NULLS FIRST, outlet_id NULLS FIRST LIMIT 20;
CREATE TEMP TABLE top_merchant AS
SELECT merchant_id AS item, *
FROM merchants_out WHERE around > 0
ORDER BY around DESC, merchant_id LIMIT 20;
CREATE TEMP TABLE broken_rule AS
SELECT source, "column", rule, count(*) AS num FROM table_of('quarantine.parquet') GROUP BY ALL;

CREATE TEMP TABLE figure_true AS
SELECT 'night' AS section, NULL::VARCHAR AS item, name AS figure, claim('$.summary.' || name)::DOUBLE AS value
FROM (SELECT unnest(['saving_cny', 'num_chosen', 'num_orders', 'sum_of_caps', 'num_merchants',
    'num_merchants_with_cap', 'num_quarantined', 'penalties_cny']) AS name)
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
SELECT 'compared', (SELECT date::VARCHAR FROM nights_out WHERE step = num_nights - 1), c.name || '_mean',
    CASE WHEN c.name = 'num_chosen' THEN round_even(avg(c.value), 0) ELSE round(avg(c.value), 6) END
FROM compared AS c WHERE c.step < c.num_nights GROUP BY c.name
UNION ALL
SELECT 'compared', NULL, 'num_nights', num_nights - 1 FROM nights_out WHERE step = 1 AND num_nights > 1
UNION ALL
SELECT 'chance', NULL, name, claim('$.summary.experiment.' || name)::DOUBLE
FROM (SELECT unnest(['num_kept_back', 'num_explored', 'num_explore_standard', 'kept_back_cost_cny',
    'explored_saving_cny', 'explore_cost_at_most_cny']) AS name)
UNION ALL
SELECT 'reasons', name, 'num_orders', claim('$.summary.reasons.' || name)::DOUBLE
FROM (SELECT unnest(['CHOSEN', 'NO_SAVING', 'CAP_ZERO', 'CAP_FULL', 'CAPACITY_FULL', 'CAP_AND_CAPACITY',
    'INELIGIBLE', 'CARRIER_INACTIVE', 'PINNED_OUT', 'HELD_OUT', 'EXPLORED', 'BUDGET']) AS name)
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

-- check: every figure of the report. (Of a carrier that has a row for each of several
-- days it shows one.)
CREATE TEMP VIEW check_figures AS
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
WHERE t.num > o.num;
