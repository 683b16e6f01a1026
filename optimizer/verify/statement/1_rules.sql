-- 1. The rules of the night, from the configuration above.
--
-- Money is whole micro-CNY from here on, shares are exact decimals. Of the dated policy
-- rows the one in force on the night's date applies; what it says of the objective
-- stands before the objective's own word.

CREATE MACRO in_force(rules) AS (
    SELECT dated
    FROM (SELECT unnest(from_json(json_extract(rules, '$.policy'), '["JSON"]')) AS dated)
    WHERE (dated ->> 'valid_from')::DATE <= getvariable('night')
    ORDER BY (dated ->> 'valid_from')::DATE DESC
    LIMIT 1
);
SET VARIABLE policy = in_force(getvariable('config'));
SET VARIABLE objective = getvariable('config') -> 'objective';

CREATE MACRO config_text(way) AS json_extract_string(getvariable('config'), way);
CREATE MACRO policy_text(way) AS json_extract_string(getvariable('policy'), way);
CREATE MACRO objective_text(way) AS json_extract_string(getvariable('objective'), way);
CREATE MACRO objective_key(name) AS coalesce(
    json_extract_string(getvariable('policy'), '$.objective.' || name),
    json_extract_string(getvariable('objective'), '$.' || name)
);
CREATE MACRO exact(text) AS text::DECIMAL(38, 9);
CREATE MACRO micro(text) AS (exact(text) * 1000000)::HUGEINT;
CREATE MACRO nano(text) AS (exact(text) * 1000000000)::HUGEINT;
-- A fraction of whole numbers, both at least 0, rounded half to even.
CREATE MACRO half_even(above, below) AS
    above // below + CASE
        WHEN 2 * (above % below) > below THEN 1
        WHEN 2 * (above % below) = below THEN (above // below) % 2
        ELSE 0
    END;

SET VARIABLE complaint_cost = micro(objective_key('complaint_cost_cny'))::DOUBLE;
SET VARIABLE return_cost = micro(objective_key('return_cost_cny'))::DOUBLE;
SET VARIABLE fee = micro(policy_text('$.fee.amount_cny'));
-- The part of the fee that counts against each saving.
SET VARIABLE counted_fee = half_even(
    getvariable('fee') * nano(objective_key('fee_share')), 1000000000::HUGEINT
)::BIGINT;

SET VARIABLE rate = nano(policy_text('$.cap.rate'));
SET VARIABLE cap_base = policy_text('$.cap.base');
SET VARIABLE rounding = policy_text('$.cap.rounding');
SET VARIABLE window_days = policy_text('$.cap.window_days')::BIGINT;
SET VARIABLE roster = from_json(getvariable('policy') -> 'carriers', '["VARCHAR"]');
SET VARIABLE counted_on = config_text('$.capacity.counted_on');
SET VARIABLE count_rule = config_text('$.capacity.count');
SET VARIABLE is_open = config_text('$.capacity.uncovered_lanes') = 'open';
SET VARIABLE hold_share = exact(config_text('$.holdout.share'));
-- How the explore share is used: for parcels drawn blind, or for coins around the plan.
SET VARIABLE explore = coalesce(objective_text('explore'), 'blind');
SET VARIABLE explore_share = CASE WHEN getvariable('explore') = 'blind'
    THEN exact(config_text('$.holdout.explore_share')) ELSE 0 END;
SET VARIABLE coin_share = CASE WHEN getvariable('explore') = 'margin'
    THEN exact(config_text('$.holdout.explore_share')) ELSE 0 END;
-- Plans of the draws of savings, the night's own among them; null: not drawn.
SET VARIABLE num_plans = CASE WHEN getvariable('explore') = 'thompson'
    THEN objective_text('num_draws')::BIGINT + 1 END;

-- How often carriers keep the promise; a learned model may add rows.
CREATE TEMP TABLE promised AS
SELECT unnest(from_json(
    CASE
        WHEN json_type(getvariable('policy'), '$.objective.fulfilment') = 'ARRAY'
        THEN getvariable('policy') -> '$.objective.fulfilment'
        ELSE getvariable('objective') -> 'fulfilment'
    END,
    '["JSON"]'
)) AS kept;
CREATE TEMP TABLE fulfilment AS
SELECT
    kept ->> 'carrier_id' AS carrier_id,
    kept ->> 'region_id' AS region_id,
    (kept ->> 'probability')::DOUBLE AS probability
FROM promised;

-- What each platform takes: its carriers, by our names and by its own.
CREATE TEMP TABLE outbox AS
SELECT number, box ->> 'platform' AS platform, box ->> 'format' = 'csv' AS is_csv, taken.names
FROM (SELECT unnest(from_json(getvariable('config') -> 'outbox', '["JSON"]')) AS box,
    generate_subscripts(from_json(getvariable('config') -> 'outbox', '["JSON"]'), 1) AS number)
JOIN (VALUES
    ('douyin', ['zhongtong', 'yuantong', 'yunda']),
    ('kuaishou', ['zhongtong', 'yuantong', 'yunda']),
    ('pinduoduo', ['zhongtong', 'zto', 'yuantong', 'yto', 'shentong', 'sto',
        'jtexpress', 'jitu', 'yunda']),
    ('taobao', ['zhongtong', 'zto', 'yuantong', 'yto', 'shentong', 'sto', 'yunda']),
    ('jd', ['jd'])
) AS taken(platform, names) ON taken.platform = box ->> 'platform';

-- The record of the night, and its tables.
CREATE TEMP TABLE record AS
SELECT content::JSON AS said FROM read_text(getvariable('run') || '/run.json');
SET VARIABLE said = (SELECT said FROM record);
CREATE MACRO claim(way) AS json_extract_string(getvariable('said'), way);
CREATE MACRO table_of(name) AS TABLE
    SELECT * FROM read_parquet(getvariable('run') || '/' || name);

-- check: the rules above are those that the record names
CREATE TEMP TABLE check_rules AS
SELECT 'run.json' AS item, 'another configuration, date or policy' AS published, NULL AS restated
FROM record
WHERE json(json_extract(record.said, 'config')) IS DISTINCT FROM getvariable('recorded')
    OR (record.said ->> 'date')::DATE IS DISTINCT FROM getvariable('night')
    OR json(json_extract(record.said, 'policy')) IS DISTINCT FROM json(in_force(getvariable('recorded')));
