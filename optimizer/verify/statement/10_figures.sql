-- 10. Every figure of run.json, of nights.parquet and of the report.

CREATE TEMP TABLE reason_count AS
SELECT reason, count(*) AS num FROM decision GROUP BY reason;
CREATE MACRO num_of(name) AS coalesce((SELECT num FROM reason_count WHERE reason = name), 0);
SET VARIABLE num_chosen = (SELECT num_of('CHOSEN') + num_of('EXPLORED'));
SET VARIABLE kept_back = (
    SELECT coalesce(sum(c.saving), 0) FROM chosen AS c JOIN decision AS d USING (number)
    WHERE d.reason = 'HELD_OUT' AND d.arm IN ('policy', 'thompson')
);
-- What the swaps of coins cost, and what all of their pairs would.
SET VARIABLE swapped = (
    SELECT coalesce(sum(c.saving), 0) FROM chosen AS c JOIN decision AS d USING (number)
    WHERE d.reason = 'HELD_OUT' AND d.arm = 'margin'
) - (SELECT coalesce(sum(saving), 0) FROM beside_plan WHERE is_premium);
SET VARIABLE pairs = (
    SELECT coalesce(sum(c.saving), 0) FROM chosen AS c JOIN decision AS d USING (number)
    WHERE d.arm = 'margin'
) - (SELECT coalesce(sum(saving), 0) FROM beside_plan);
SET VARIABLE explored_saving = (SELECT coalesce(sum(saving), 0) FROM explored);
SET VARIABLE saving = getvariable('planned') + getvariable('explored_saving') - getvariable('kept_back')
    - getvariable('swapped');
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
        OR getvariable('coin_share') > 0 OR getvariable('num_plans') IS NOT NULL
    THEN number::VARCHAR
END;
CREATE MACRO on_draws(found) AS CASE WHEN getvariable('num_plans') IS NOT NULL
    THEN found END;
CREATE MACRO on_coins(number) AS CASE WHEN getvariable('coin_share') > 0 THEN number END;

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
    ('num_branches', (SELECT nullif(count(*), 0) FROM branches_said)::VARCHAR),
    ('num_conflicts', CASE WHEN getvariable('is_packing') OR EXISTS (FROM clash)
        THEN (SELECT count(*) FROM clash)::VARCHAR END),
    ('experiment.num_kept_back', on_chance((SELECT count(*) FROM decision
        WHERE arm IN ('policy', 'thompson') AND reason = 'HELD_OUT'))),
    ('experiment.num_explored', on_chance((SELECT count(*) FROM decision
        WHERE arm = 'explore' AND reason = 'EXPLORED'))),
    ('experiment.num_explore_standard', on_chance((SELECT count(*) FROM decision
        WHERE arm = 'explore' AND reason = 'HELD_OUT'))),
    ('experiment.num_coins', on_coins((SELECT count(*) FROM decision
        WHERE arm = 'margin') // 2)::VARCHAR),
    ('experiment.num_swapped', on_coins((SELECT count(*) FROM decision
        WHERE arm = 'margin' AND reason = 'EXPLORED'))::VARCHAR),
    ('draw.seed', on_draws(sha256(concat_ws(
        '|', config_text('$.holdout.seed'), getvariable('night'), 'thompson')))),
    ('draw.num_draws', on_draws((getvariable('num_plans') - 1)::VARCHAR)),
    ('draw.num_drawn', on_draws((SELECT count(*) FROM decision
        WHERE arm = 'thompson')::VARCHAR))
) AS summary(item, restated)
UNION ALL
SELECT 'reasons.' || name, num_of(name)::VARCHAR FROM (
    SELECT unnest(['CHOSEN', 'NO_SAVING', 'CAP_ZERO', 'CAP_FULL', 'CAPACITY_FULL',
        'CAP_AND_CAPACITY', 'INELIGIBLE', 'CARRIER_INACTIVE', 'PINNED_OUT', 'HELD_OUT',
        'EXPLORED']) AS name
)
UNION ALL
SELECT 'reasons.' || name, nullif(num_of(name), 0)::VARCHAR
FROM (SELECT unnest(['BUDGET', 'NO_OPTION', 'NOT_DELIVERABLE']) AS name);

-- check: the figures of the summary
CREATE TEMP TABLE check_summary AS
SELECT 'summary.' || item AS item, claim('$.summary.' || item) AS published, restated
FROM summary_true WHERE published IS DISTINCT FROM restated
    AND NOT (published IS NULL AND list_contains(getvariable('unsaid_figures'), summary_true.item));
-- check: its amounts, which are written as numbers
CREATE TEMP TABLE amount_true AS
SELECT * FROM (VALUES
    ('saving_cny', getvariable('saving')::DOUBLE / 1e6),
    ('penalties_cny', CASE WHEN getvariable('is_packing') THEN getvariable('penalties')::DOUBLE / 1e6 END),
    ('cap_roundings.carryover.num_slots',
        (SELECT coalesce(sum(window_cap), 0) FROM rounding)::DOUBLE / getvariable('window_days')),
    ('experiment.kept_back_cost_cny', CASE WHEN on_chance(0) IS NOT NULL
        THEN getvariable('kept_back')::DOUBLE / 1e6 END),
    ('experiment.coin_cost_cny', on_coins(getvariable('swapped')::DOUBLE / 1e6)),
    ('experiment.expected_coin_cost_cny', on_coins(getvariable('pairs')::DOUBLE / 2e6)),
    ('draw.mean_saving_cny', on_draws((SELECT coalesce(sum(t.mean), 0)
        FROM draw_true AS t JOIN decision AS d USING (number)
        WHERE d.is_premium)::DOUBLE / 1e6)),
    ('experiment.explored_saving_cny', CASE WHEN on_chance(0) IS NOT NULL
        THEN getvariable('explored_saving')::DOUBLE / 1e6 END),
    ('experiment.explore_cost_at_most_cny', CASE WHEN on_chance(0) IS NOT NULL
        THEN (getvariable('reserved') - getvariable('explored_saving'))::DOUBLE / 1e6 END)
) AS amounts(item, restated);
CREATE TEMP TABLE check_amounts AS
SELECT 'summary.' || item AS item, claim('$.summary.' || item)::DOUBLE AS published, restated
FROM amount_true
WHERE (published IS NULL) <> (restated IS NULL) OR abs(published - restated)
    > CASE WHEN item LIKE '%num_slots' THEN 0.0500001 ELSE 0 END;

-- check: no other figure stands in the summary
CREATE TEMP TABLE check_no_other AS
SELECT way AS item, 'published' AS published, NULL AS restated
FROM (
    SELECT replace(fullkey, '$.', '') AS way, type
    FROM record, json_tree(record.said, '$.summary')
)
WHERE type NOT IN ('OBJECT', 'ARRAY')
    AND replace(way, 'summary.', '') NOT IN (SELECT item FROM summary_true)
    AND replace(way, 'summary.', '') NOT IN (SELECT item FROM amount_true);

-- check: what the certificate says beside its bounds
CREATE TEMP TABLE check_certificate AS
SELECT 'certificate.' || item AS item, claim('$.certificate.' || item) AS published, restated
FROM (VALUES
    ('is_feasible', 'true'),
    ('violations', '[]'),
    ('num_conflicts', CASE WHEN getvariable('is_packing') THEN (SELECT count(*) FROM clash)::VARCHAR END),
    ('bound', CASE WHEN NOT getvariable('is_packing') THEN NULL
        WHEN has_branches() THEN 'branches'
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
CREATE TEMP TABLE check_termination AS
SELECT 'termination' AS item,
    concat_ws(' ', claim('$.termination.reason'), claim('$.termination.limit')) AS published,
    'a gap of ' || (getvariable('dual_bound') - getvariable('primal_bound')) AS restated
WHERE (claim('$.termination.reason') = 'OPTIMAL')
        IS DISTINCT FROM (getvariable('dual_bound') = getvariable('primal_bound'))
    OR (claim('$.termination.limit') IS NULL)
        IS DISTINCT FROM (claim('$.termination.reason') = 'OPTIMAL');
