-- The night stated a second time, from the documentation: run it with
--
--     duckdb < audit.sql
--
-- in the folder of the night. It reads the inputs and the published tables,
-- works every number out anew, and ends with one table: what is not as it
-- was published. No row: everything holds. DuckDB 1.4 or newer.
--
-- What SQL alone does not state of this night, and optimizer verify does:
--   nothing

-- The folder of the night; its date; its configuration as it was recorded.
SET VARIABLE run = '.';
SET VARIABLE night = DATE '2026-11-22';
SET VARIABLE config = json('{
 "acceptance": [],
 "capacity": {
  "attributes": [],
  "count": "recommendations",
  "counted_on": "order",
  "in_flight_days": 7,
  "lead_days": 0,
  "peaks": [],
  "quantile": "0.95",
  "uncovered_lanes": "closed"
 },
 "engine": "local",
 "fairness": [],
 "holdout": {
  "explore_share": "0",
  "seed": 0,
  "share": "0"
 },
 "inputs": {
  "capacity": "data/nights/{date}/capacity.csv",
  "deliveries": null,
  "merchants": "data/nights/{date}/merchants.parquet",
  "options": "data/nights/{date}/options.parquet",
  "orders": "data/nights/{date}/orders.parquet",
  "wait_minutes": "0",
  "when_capacity_is_late": "refuse"
 },
 "learning": {
  "contract_kept_share": "0.8",
  "history": null,
  "max_complaints_per_customer": null,
  "models": "models",
  "prior": null,
  "regime_breaks": [
   "2024-03-01"
  ]
 },
 "model": null,
 "objective": {
  "complaint_cost_cny": "30",
  "confidence": null,
  "fee_share": "1",
  "fulfilment": [],
  "relative_error": "0",
  "return_cost_cny": "18"
 },
 "on_conflict": "relax",
 "operations": {
  "alerts": {
   "dead_lane_nights": 3,
   "input_change": "0.3",
   "quarantine_share": "0.0005",
   "splitting": {
    "below_cny": "20",
    "columns": [],
    "group_size": 5
   }
  },
  "lineage": null,
  "logs": "text",
  "metrics": null
 },
 "outbox": [],
 "output": "packed",
 "outputs": [],
 "pin_priority": 0,
 "policy": [
  {
   "cap": {
    "base": "all_orders",
    "group": "merchant",
    "rate": "0.13",
    "rounding": "floor",
    "window_days": 30
   },
   "carriers": [
    "zhongtong",
    "yuantong",
    "yunda",
    "shunfeng"
   ],
   "compensation": {
    "amount_cny": "0",
    "payee": "merchant"
   },
   "eligibility": [],
   "fee": {
    "amount_cny": "0.80",
    "payer": {
     "consumer": "0.0",
     "merchant": "0.5",
     "platform": "0.5"
    }
   },
   "objective": {
    "complaint_cost_cny": null,
    "fee_share": null,
    "fulfilment": null,
    "return_cost_cny": null
   },
   "subsidy_budget_cny": "5",
   "valid_from": "2022-01-12"
  }
 ],
 "publish": {
  "max_relative_gap": "0.001"
 },
 "quarantine": {
  "max_share": "0.001"
 },
 "solver": {
  "keep_previous": false,
  "method": "auto",
  "num_threads": null,
  "relative_gap": "0",
  "time_limit_seconds": "600"
 },
 "spark": {
  "rows_per_block": 1000000,
  "table_format": "parquet"
 },
 "state": {
  "url": null
 },
 "timezone": "Asia/Shanghai",
 "version": 1
}');
-- The input files, where run.json says that they were; elsewhere: write the
-- list of paths here.
SET VARIABLE orders = (
    SELECT list(file ->> 'path') FROM (SELECT unnest(from_json(
        content::JSON -> '$.inputs.orders.files', '["JSON"]')) AS file
    FROM read_text(getvariable('run') || '/run.json')));
SET VARIABLE options = (
    SELECT list(file ->> 'path') FROM (SELECT unnest(from_json(
        content::JSON -> '$.inputs.options.files', '["JSON"]')) AS file
    FROM read_text(getvariable('run') || '/run.json')));
SET VARIABLE capacity = (
    SELECT list(file ->> 'path') FROM (SELECT unnest(from_json(
        content::JSON -> '$.inputs.capacity.files', '["JSON"]')) AS file
    FROM read_text(getvariable('run') || '/run.json')));
SET VARIABLE merchants = (
    SELECT list(file ->> 'path') FROM (SELECT unnest(from_json(
        content::JSON -> '$.inputs.merchants.files', '["JSON"]')) AS file
    FROM read_text(getvariable('run') || '/run.json')));
-- Names of the columns that rules of the configuration ask for.
CREATE MACRO attribute_names() AS []::VARCHAR[];
CREATE MACRO further_names() AS []::VARCHAR[];
CREATE MACRO fact_names() AS []::VARCHAR[];
-- Doubt that is taken off the harm avoided: the normal quantile of the
-- confidence, times the relative error.
CREATE MACRO doubted(harm) AS harm;
CREATE MACRO prices_orders() AS False;
-- Columns that nights of an older format lack are null.
CREATE TEMP TABLE rows_said_columns ("kind" VARCHAR, "limit" VARCHAR, low BIGINT, high BIGINT, used BIGINT, slack BIGINT, missing BIGINT, penalty_cny DOUBLE, shadow_price_cny DOUBLE);
CREATE TEMP VIEW rows_said AS
FROM rows_said_columns UNION ALL BY NAME
SELECT * FROM read_parquet(getvariable('run') || '/rows.parquet', file_row_number = true);
CREATE TEMP TABLE conflicts_said ("kind" VARCHAR, "limit" VARCHAR, priority BIGINT, asked BIGINT, reached BIGINT, missing BIGINT, stopped_by VARCHAR, file_row_number BIGINT);
CREATE TEMP TABLE order_prices_said (order_id VARCHAR, price_cny DOUBLE, file_row_number BIGINT);

-- 1. The rules of the night, from the configuration above.
--
-- Money is whole micro-CNY from here on, shares are exact decimals. Of the dated policy
-- rows the one in force on the night's date applies; what it says of the objective
-- stands before the objective's own word.

SET VARIABLE policy = (
    SELECT dated
    FROM (SELECT unnest(from_json(getvariable('config') -> 'policy', '["JSON"]')) AS dated)
    WHERE (dated ->> 'valid_from')::DATE <= getvariable('night')
    ORDER BY (dated ->> 'valid_from')::DATE DESC
    LIMIT 1
);
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
SET VARIABLE explore_share = exact(config_text('$.holdout.explore_share'));

-- How often carriers keep the promise; a learned model may add rows.
CREATE TEMP TABLE fulfilment AS
SELECT
    given ->> 'carrier_id' AS carrier_id,
    given ->> 'region_id' AS region_id,
    (given ->> 'probability')::DOUBLE AS probability
FROM (
    SELECT unnest(from_json(
        CASE
            WHEN json_type(getvariable('policy'), '$.objective.fulfilment') = 'ARRAY'
            THEN getvariable('policy') -> '$.objective.fulfilment'
            ELSE getvariable('objective') -> 'fulfilment'
        END,
        '["JSON"]'
    )) AS given
);

-- The record of the night, and its tables.
CREATE TEMP TABLE record AS
SELECT content::JSON AS said FROM read_text(getvariable('run') || '/run.json');
CREATE MACRO claim(way) AS (SELECT json_extract_string(record.said, way) FROM record);
CREATE MACRO table_of(name) AS TABLE
    SELECT * FROM read_parquet(getvariable('run') || '/' || name);

-- check: the rules above are those that the record names
CREATE TEMP VIEW check_rules AS
SELECT 'run.json' AS item, 'another configuration, date or policy' AS published, NULL AS restated
FROM record
WHERE json(json_extract(record.said, 'config')) IS DISTINCT FROM getvariable('config')
    OR (record.said ->> 'date')::DATE IS DISTINCT FROM getvariable('night')
    OR json(json_extract(record.said, 'policy')) IS DISTINCT FROM json(getvariable('policy'));

-- 2. The input tables as they are read: which rows count, and which are refused.
--
-- A column of the contract that a file lacks is null. Text stands for a flag (true,
-- false, 1, 0), a number, a whole number or a date where a file holds text. A row that
-- breaks a rule of its columns is refused and counts nowhere.

CREATE MACRO bare(text) AS trim(text::VARCHAR, E' \t\r\n\v\f');
CREATE MACRO as_flag(x) AS CASE lower(bare(x))
    WHEN 'true' THEN true WHEN '1' THEN true
    WHEN 'false' THEN false WHEN '0' THEN false
END;
CREATE MACRO as_number(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN TRY_CAST(bare(x) AS DOUBLE)
    ELSE TRY_CAST(x AS DOUBLE)
END;
CREATE MACRO as_count(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN
        TRY_CAST(regexp_extract(bare(x), '^([+-]?\d+)(\.0+)?$', 1) AS BIGINT)
    WHEN TRY_CAST(x AS DOUBLE) = trunc(TRY_CAST(x AS DOUBLE)) THEN TRY_CAST(x AS BIGINT)
END;
CREATE MACRO as_date(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN try_strptime(bare(x), '%Y-%m-%d')::DATE
    ELSE TRY_CAST(x AS DATE)
END;
-- Nothing outside of what one sees needs a closer look.
CREATE MACRO is_untrimmed(x) AS
    regexp_matches(x, '[^!-~]')
    AND regexp_matches(x, '^[\s\p{Z}]|[\s\p{Z}]$|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]');

-- orders: as read.
CREATE TEMP TABLE orders_columns AS
SELECT column_name FROM (DESCRIBE SELECT * FROM read_parquet(getvariable('orders'), file_row_number = true));
CREATE TEMP VIEW orders_raw AS
WITH read_rows AS (
    SELECT * FROM (SELECT
        NULL::VARCHAR AS "order_id",
        NULL::VARCHAR AS "merchant_id",
        NULL::VARCHAR AS "carrier_id",
        NULL::VARCHAR AS "region_id",
        NULL::VARCHAR AS "outlet_id",
        NULL::VARCHAR AS "category_id",
        NULL::DOUBLE AS "order_value_cny",
        NULL::DOUBLE AS "complaint_prob_standard",
        NULL::DOUBLE AS "complaint_prob_premium",
        NULL::DOUBLE AS "return_prob_standard",
        NULL::DOUBLE AS "return_prob_premium",
        NULL::BOOLEAN AS "is_eligible",
        NULL::VARCHAR AS "ineligible_reason",
        NULL::BIGINT AS "load",
        NULL::VARCHAR AS "pin",
        NULL::DATE AS "ship_date",
        NULL::DATE AS "delivery_date",
        NULL::BIGINT AS file_row_number
    LIMIT 0)
    UNION ALL BY NAME
    SELECT COLUMNS('^(order_id|merchant_id|carrier_id|region_id|outlet_id|category_id|order_value_cny|complaint_prob_standard|complaint_prob_premium|return_prob_standard|return_prob_premium|is_eligible|ineligible_reason|load|pin|ship_date|delivery_date|file_read|file_row_number)$') FROM read_parquet(getvariable('orders'), file_row_number = true)
)
SELECT * EXCLUDE (file_row_number), file_row_number AS number FROM read_rows;

-- options: as read.
CREATE TEMP TABLE options_columns AS
SELECT column_name FROM (DESCRIBE SELECT * FROM read_parquet(getvariable('options'), file_row_number = true));
CREATE TEMP VIEW options_raw AS
WITH read_rows AS (
    SELECT * FROM (SELECT
        NULL::VARCHAR AS "order_id",
        NULL::VARCHAR AS "carrier_id",
        NULL::VARCHAR AS "outlet_id",
        NULL::DOUBLE AS "complaint_prob_premium",
        NULL::DOUBLE AS "return_prob_premium",
        NULL::BIGINT AS "load",
        NULL::BIGINT AS file_row_number
    LIMIT 0)
    UNION ALL BY NAME
    SELECT COLUMNS('^(order_id|carrier_id|outlet_id|complaint_prob_premium|return_prob_premium|load|file_read|file_row_number)$') FROM read_parquet(getvariable('options'), file_row_number = true)
)
SELECT * EXCLUDE (file_row_number), file_row_number AS number FROM read_rows;

-- capacity: as read.
CREATE TEMP TABLE capacity_columns AS
SELECT column_name FROM (DESCRIBE SELECT * FROM read_csv(getvariable('capacity'), all_varchar = true, header = true, delim = ',', quote = '"', escape = '"', nullstr = ''));
CREATE TEMP VIEW capacity_raw AS
WITH read_rows AS (
    SELECT * FROM (SELECT
        NULL::VARCHAR AS "carrier_id",
        NULL::VARCHAR AS "region_id",
        NULL::VARCHAR AS "outlet_id",
        NULL::BIGINT AS "slots",
        NULL::DATE AS "service_date",
        NULL::BIGINT AS "min_parcels",
        NULL::DOUBLE AS "penalty_cny",
        NULL::BIGINT AS "priority",
        NULL::BIGINT AS number
    LIMIT 0)
    UNION ALL BY NAME
    SELECT COLUMNS('^(carrier_id|region_id|outlet_id|slots|service_date|min_parcels|penalty_cny|priority|number)$')
    FROM (SELECT *, row_number() OVER () - 1 AS number FROM read_csv(getvariable('capacity'), all_varchar = true, header = true, delim = ',', quote = '"', escape = '"', nullstr = ''))
)
SELECT * FROM read_rows;

-- merchants: as read.
CREATE TEMP TABLE merchants_columns AS
SELECT column_name FROM (DESCRIBE SELECT * FROM read_parquet(getvariable('merchants'), file_row_number = true));
CREATE TEMP VIEW merchants_raw AS
WITH read_rows AS (
    SELECT * FROM (SELECT
        NULL::VARCHAR AS "merchant_id",
        NULL::BIGINT AS "num_orders",
        NULL::DOUBLE AS "take_up",
        NULL::BOOLEAN AS "is_enrolled",
        NULL::BIGINT AS "cap_override",
        NULL::DOUBLE AS "daily_budget_cny",
        NULL::VARCHAR AS "owner_id",
        NULL::BIGINT AS file_row_number
    LIMIT 0)
    UNION ALL BY NAME
    SELECT COLUMNS('^(merchant_id|num_orders|take_up|is_enrolled|cap_override|daily_budget_cny|owner_id|file_read|file_row_number)$') FROM read_parquet(getvariable('merchants'), file_row_number = true)
)
SELECT * EXCLUDE (file_row_number), file_row_number AS number FROM read_rows;

-- merchants: all rows.
CREATE TEMP TABLE merchants AS
SELECT
    number,
    "merchant_id" AS "merchant_id",
    as_count("num_orders") AS "num_orders",
    as_number("take_up") AS "take_up",
    as_flag("is_enrolled") AS "is_enrolled",
    as_count("cap_override") AS "cap_override",
    as_number("daily_budget_cny") AS "daily_budget_cny",
    "owner_id" AS "owner_id",
    []::VARCHAR[] AS facts
FROM merchants_raw;

-- capacity: all rows.
CREATE TEMP TABLE capacity AS
SELECT
    number,
    "carrier_id" AS "carrier_id",
    "region_id" AS "region_id",
    "outlet_id" AS "outlet_id",
    as_count("slots") AS "slots",
    as_date("service_date") AS "service_date",
    as_count("min_parcels") AS "min_parcels",
    as_number("penalty_cny") AS "penalty_cny",
    as_count("priority") AS "priority",
    []::VARCHAR[] AS attributes
FROM capacity_raw;

-- The day whose slots orders take that have none of their own.
CREATE MACRO default_day() AS getvariable('night')
    + (config_text('$.capacity.lead_days'))::INT;
SET VARIABLE has_dates = (
    SELECT EXISTS (FROM capacity WHERE service_date IS NOT NULL));
-- orders: the rows that count. Who is not eligible has a reason: that of
-- the table, or of the first rule of the policy that matches, or that the
-- merchant is not enrolled.
CREATE TEMP TABLE orders AS
SELECT r.* EXCLUDE (ineligible_reason), coalesce(m.take_up, 1.0) AS take_up,
    CASE
        WHEN r.ineligible_reason IS NOT NULL
            OR NOT coalesce(m.is_enrolled, true) THEN 'INELIGIBLE'
        WHEN r.pin = 'never' THEN 'PINNED_OUT'
    END AS kept_out,
    coalesce(r.ineligible_reason, CASE WHEN NOT m.is_enrolled
        THEN 'the merchant is not enrolled' END) AS ineligible_reason
FROM (
SELECT
    number,
    "order_id" AS "order_id",
    "merchant_id" AS "merchant_id",
    "carrier_id" AS "carrier_id",
    "region_id" AS "region_id",
    "outlet_id" AS "outlet_id",
    as_number("complaint_prob_standard") AS "complaint_prob_standard",
    as_number("complaint_prob_premium") AS "complaint_prob_premium",
    as_number("return_prob_standard") AS "return_prob_standard",
    as_number("return_prob_premium") AS "return_prob_premium",
    as_count("load") AS "load",
    "pin" AS "pin",
    CASE
        WHEN NOT coalesce(as_flag(is_eligible), true)
        THEN coalesce(ineligible_reason, 'no reason given')
    END AS ineligible_reason,
    CASE
        WHEN getvariable('counted_on') = 'ship' THEN coalesce(
            as_date(ship_date), default_day())
        WHEN getvariable('counted_on') = 'delivery' THEN coalesce(
            as_date(delivery_date), default_day())
        WHEN getvariable('has_dates') THEN default_day()
    END AS day,
    []::VARCHAR[] AS further
FROM orders_raw
WHERE (
    "order_id" IS NULL
    OR ("order_id" = '')
    OR (strlen("order_id") > 200)
    OR (is_untrimmed("order_id"))
    OR "merchant_id" IS NULL
    OR ("merchant_id" = '')
    OR (strlen("merchant_id") > 200)
    OR (is_untrimmed("merchant_id"))
    OR ("carrier_id" = '')
    OR (strlen("carrier_id") > 200)
    OR (is_untrimmed("carrier_id"))
    OR "region_id" IS NULL
    OR ("region_id" = '')
    OR (strlen("region_id") > 200)
    OR (is_untrimmed("region_id"))
    OR ("outlet_id" = '')
    OR (strlen("outlet_id") > 200)
    OR (is_untrimmed("outlet_id"))
    OR ("category_id" = '')
    OR (strlen("category_id") > 200)
    OR (is_untrimmed("category_id"))
    OR (as_number("order_value_cny") IS NULL AND "order_value_cny" IS NOT NULL)
    OR (NOT isfinite(as_number("order_value_cny")))
    OR (NOT isnan(as_number("order_value_cny")) AND as_number("order_value_cny") < 0)
    OR "complaint_prob_standard" IS NULL
    OR (as_number("complaint_prob_standard") IS NULL AND "complaint_prob_standard" IS NOT NULL)
    OR (isnan(as_number("complaint_prob_standard")))
    OR (NOT isnan(as_number("complaint_prob_standard")) AND NOT as_number("complaint_prob_standard") BETWEEN 0 AND 1)
    OR (as_number("complaint_prob_premium") IS NULL AND "complaint_prob_premium" IS NOT NULL)
    OR (isnan(as_number("complaint_prob_premium")))
    OR (NOT isnan(as_number("complaint_prob_premium")) AND NOT as_number("complaint_prob_premium") BETWEEN 0 AND 1)
    OR "return_prob_standard" IS NULL
    OR (as_number("return_prob_standard") IS NULL AND "return_prob_standard" IS NOT NULL)
    OR (isnan(as_number("return_prob_standard")))
    OR (NOT isnan(as_number("return_prob_standard")) AND NOT as_number("return_prob_standard") BETWEEN 0 AND 1)
    OR (as_number("return_prob_premium") IS NULL AND "return_prob_premium" IS NOT NULL)
    OR (isnan(as_number("return_prob_premium")))
    OR (NOT isnan(as_number("return_prob_premium")) AND NOT as_number("return_prob_premium") BETWEEN 0 AND 1)
    OR (as_flag("is_eligible") IS NULL AND "is_eligible" IS NOT NULL)
    OR (as_count("load") IS NULL AND "load" IS NOT NULL)
    OR (as_count("load") < 1)
    OR (as_count("load") > 1000000000000)
    OR ("pin" NOT IN ('must', 'never'))
    OR (as_date("ship_date") IS NULL AND "ship_date" IS NOT NULL)
    OR (as_date("delivery_date") IS NULL AND "delivery_date" IS NOT NULL)
) IS NOT TRUE
) AS r
LEFT JOIN merchants AS m USING (merchant_id);

-- options: the rows that count; one whose order was refused goes with it.
CREATE TEMP TABLE options AS
SELECT o.number AS order_number, r.*
FROM (SELECT
    number,
    order_id,
    "carrier_id" AS "carrier_id",
    "outlet_id" AS "outlet_id",
    as_number("complaint_prob_premium") AS "complaint_prob_premium",
    as_number("return_prob_premium") AS "return_prob_premium",
    as_count("load") AS "load"
    FROM options_raw WHERE (
    "order_id" IS NULL
    OR ("order_id" = '')
    OR (strlen("order_id") > 200)
    OR (is_untrimmed("order_id"))
    OR "carrier_id" IS NULL
    OR ("carrier_id" = '')
    OR (strlen("carrier_id") > 200)
    OR (is_untrimmed("carrier_id"))
    OR ("outlet_id" = '')
    OR (strlen("outlet_id") > 200)
    OR (is_untrimmed("outlet_id"))
    OR "complaint_prob_premium" IS NULL
    OR (as_number("complaint_prob_premium") IS NULL AND "complaint_prob_premium" IS NOT NULL)
    OR (isnan(as_number("complaint_prob_premium")))
    OR (NOT isnan(as_number("complaint_prob_premium")) AND NOT as_number("complaint_prob_premium") BETWEEN 0 AND 1)
    OR "return_prob_premium" IS NULL
    OR (as_number("return_prob_premium") IS NULL AND "return_prob_premium" IS NOT NULL)
    OR (isnan(as_number("return_prob_premium")))
    OR (NOT isnan(as_number("return_prob_premium")) AND NOT as_number("return_prob_premium") BETWEEN 0 AND 1)
    OR (as_count("load") IS NULL AND "load" IS NOT NULL)
    OR (as_count("load") < 1)
    OR (as_count("load") > 1000000000000)
) IS NOT TRUE) AS r
LEFT JOIN orders AS o USING (order_id);

CREATE MACRO carriers_read() AS TABLE
    SELECT carrier_id FROM options WHERE order_number IS NOT NULL;
-- Ways to carry an order that may be recommended: those of its options.
CREATE TEMP VIEW ways AS
SELECT o.number, o.merchant_id, o.region_id, o.day, o.take_up, w.carrier_id,
    coalesce(w.outlet_id, o.outlet_id) AS outlet_id, o.further,
    coalesce(w.load, o.load, 1) AS load, o.complaint_prob_standard,
    w.complaint_prob_premium, o.return_prob_standard, w.return_prob_premium
FROM options AS w JOIN orders AS o ON o.number = w.order_number
WHERE o.kept_out IS NULL;

-- The rows that are refused.
SET VARIABLE num_orders_refused = (SELECT count(*) FROM orders_raw)
    - (SELECT count(*) FROM orders);
SET VARIABLE num_options_refused = (SELECT count(*) FROM options_raw)
    - (SELECT count(*) FROM options);
CREATE TEMP TABLE refused AS
SELECT 'orders' AS source, number + 1 AS row, broken[1] AS "column", broken[2] AS rule
FROM (
    SELECT number, unnest([
        CASE WHEN "order_id" IS NULL THEN ['order_id', 'is missing'] END,
        CASE WHEN ("order_id" = '') THEN ['order_id', 'is empty'] END,
        CASE WHEN (strlen("order_id") > 200) THEN ['order_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("order_id")) THEN ['order_id', 'has outer spaces or control characters'] END,
        CASE WHEN "merchant_id" IS NULL THEN ['merchant_id', 'is missing'] END,
        CASE WHEN ("merchant_id" = '') THEN ['merchant_id', 'is empty'] END,
        CASE WHEN (strlen("merchant_id") > 200) THEN ['merchant_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("merchant_id")) THEN ['merchant_id', 'has outer spaces or control characters'] END,
        CASE WHEN ("carrier_id" = '') THEN ['carrier_id', 'is empty'] END,
        CASE WHEN (strlen("carrier_id") > 200) THEN ['carrier_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("carrier_id")) THEN ['carrier_id', 'has outer spaces or control characters'] END,
        CASE WHEN "region_id" IS NULL THEN ['region_id', 'is missing'] END,
        CASE WHEN ("region_id" = '') THEN ['region_id', 'is empty'] END,
        CASE WHEN (strlen("region_id") > 200) THEN ['region_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("region_id")) THEN ['region_id', 'has outer spaces or control characters'] END,
        CASE WHEN ("outlet_id" = '') THEN ['outlet_id', 'is empty'] END,
        CASE WHEN (strlen("outlet_id") > 200) THEN ['outlet_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("outlet_id")) THEN ['outlet_id', 'has outer spaces or control characters'] END,
        CASE WHEN ("category_id" = '') THEN ['category_id', 'is empty'] END,
        CASE WHEN (strlen("category_id") > 200) THEN ['category_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("category_id")) THEN ['category_id', 'has outer spaces or control characters'] END,
        CASE WHEN (as_number("order_value_cny") IS NULL AND "order_value_cny" IS NOT NULL) THEN ['order_value_cny', 'is not a number'] END,
        CASE WHEN (NOT isfinite(as_number("order_value_cny"))) THEN ['order_value_cny', 'is not a finite number'] END,
        CASE WHEN (NOT isnan(as_number("order_value_cny")) AND as_number("order_value_cny") < 0) THEN ['order_value_cny', 'is negative'] END,
        CASE WHEN "complaint_prob_standard" IS NULL THEN ['complaint_prob_standard', 'is missing'] END,
        CASE WHEN (as_number("complaint_prob_standard") IS NULL AND "complaint_prob_standard" IS NOT NULL) THEN ['complaint_prob_standard', 'is not a number'] END,
        CASE WHEN (isnan(as_number("complaint_prob_standard"))) THEN ['complaint_prob_standard', 'is not a number'] END,
        CASE WHEN (NOT isnan(as_number("complaint_prob_standard")) AND NOT as_number("complaint_prob_standard") BETWEEN 0 AND 1) THEN ['complaint_prob_standard', 'is outside [0, 1]'] END,
        CASE WHEN (as_number("complaint_prob_premium") IS NULL AND "complaint_prob_premium" IS NOT NULL) THEN ['complaint_prob_premium', 'is not a number'] END,
        CASE WHEN (isnan(as_number("complaint_prob_premium"))) THEN ['complaint_prob_premium', 'is not a number'] END,
        CASE WHEN (NOT isnan(as_number("complaint_prob_premium")) AND NOT as_number("complaint_prob_premium") BETWEEN 0 AND 1) THEN ['complaint_prob_premium', 'is outside [0, 1]'] END,
        CASE WHEN "return_prob_standard" IS NULL THEN ['return_prob_standard', 'is missing'] END,
        CASE WHEN (as_number("return_prob_standard") IS NULL AND "return_prob_standard" IS NOT NULL) THEN ['return_prob_standard', 'is not a number'] END,
        CASE WHEN (isnan(as_number("return_prob_standard"))) THEN ['return_prob_standard', 'is not a number'] END,
        CASE WHEN (NOT isnan(as_number("return_prob_standard")) AND NOT as_number("return_prob_standard") BETWEEN 0 AND 1) THEN ['return_prob_standard', 'is outside [0, 1]'] END,
        CASE WHEN (as_number("return_prob_premium") IS NULL AND "return_prob_premium" IS NOT NULL) THEN ['return_prob_premium', 'is not a number'] END,
        CASE WHEN (isnan(as_number("return_prob_premium"))) THEN ['return_prob_premium', 'is not a number'] END,
        CASE WHEN (NOT isnan(as_number("return_prob_premium")) AND NOT as_number("return_prob_premium") BETWEEN 0 AND 1) THEN ['return_prob_premium', 'is outside [0, 1]'] END,
        CASE WHEN (as_flag("is_eligible") IS NULL AND "is_eligible" IS NOT NULL) THEN ['is_eligible', 'is not true or false'] END,
        CASE WHEN (as_count("load") IS NULL AND "load" IS NOT NULL) THEN ['load', 'is not a whole number'] END,
        CASE WHEN (as_count("load") < 1) THEN ['load', 'is below 1'] END,
        CASE WHEN (as_count("load") > 1000000000000) THEN ['load', 'is above 1,000,000,000,000'] END,
        CASE WHEN ("pin" NOT IN ('must', 'never')) THEN ['pin', 'is not "must" or "never"'] END,
        CASE WHEN (as_date("ship_date") IS NULL AND "ship_date" IS NOT NULL) THEN ['ship_date', 'is not a date such as 2026-11-22'] END,
        CASE WHEN (as_date("delivery_date") IS NULL AND "delivery_date" IS NOT NULL) THEN ['delivery_date', 'is not a date such as 2026-11-22'] END
    ]) AS broken
    FROM orders_raw
    WHERE getvariable('num_orders_refused') > 0
    AND (
    "order_id" IS NULL
    OR ("order_id" = '')
    OR (strlen("order_id") > 200)
    OR (is_untrimmed("order_id"))
    OR "merchant_id" IS NULL
    OR ("merchant_id" = '')
    OR (strlen("merchant_id") > 200)
    OR (is_untrimmed("merchant_id"))
    OR ("carrier_id" = '')
    OR (strlen("carrier_id") > 200)
    OR (is_untrimmed("carrier_id"))
    OR "region_id" IS NULL
    OR ("region_id" = '')
    OR (strlen("region_id") > 200)
    OR (is_untrimmed("region_id"))
    OR ("outlet_id" = '')
    OR (strlen("outlet_id") > 200)
    OR (is_untrimmed("outlet_id"))
    OR ("category_id" = '')
    OR (strlen("category_id") > 200)
    OR (is_untrimmed("category_id"))
    OR (as_number("order_value_cny") IS NULL AND "order_value_cny" IS NOT NULL)
    OR (NOT isfinite(as_number("order_value_cny")))
    OR (NOT isnan(as_number("order_value_cny")) AND as_number("order_value_cny") < 0)
    OR "complaint_prob_standard" IS NULL
    OR (as_number("complaint_prob_standard") IS NULL AND "complaint_prob_standard" IS NOT NULL)
    OR (isnan(as_number("complaint_prob_standard")))
    OR (NOT isnan(as_number("complaint_prob_standard")) AND NOT as_number("complaint_prob_standard") BETWEEN 0 AND 1)
    OR (as_number("complaint_prob_premium") IS NULL AND "complaint_prob_premium" IS NOT NULL)
    OR (isnan(as_number("complaint_prob_premium")))
    OR (NOT isnan(as_number("complaint_prob_premium")) AND NOT as_number("complaint_prob_premium") BETWEEN 0 AND 1)
    OR "return_prob_standard" IS NULL
    OR (as_number("return_prob_standard") IS NULL AND "return_prob_standard" IS NOT NULL)
    OR (isnan(as_number("return_prob_standard")))
    OR (NOT isnan(as_number("return_prob_standard")) AND NOT as_number("return_prob_standard") BETWEEN 0 AND 1)
    OR (as_number("return_prob_premium") IS NULL AND "return_prob_premium" IS NOT NULL)
    OR (isnan(as_number("return_prob_premium")))
    OR (NOT isnan(as_number("return_prob_premium")) AND NOT as_number("return_prob_premium") BETWEEN 0 AND 1)
    OR (as_flag("is_eligible") IS NULL AND "is_eligible" IS NOT NULL)
    OR (as_count("load") IS NULL AND "load" IS NOT NULL)
    OR (as_count("load") < 1)
    OR (as_count("load") > 1000000000000)
    OR ("pin" NOT IN ('must', 'never'))
    OR (as_date("ship_date") IS NULL AND "ship_date" IS NOT NULL)
    OR (as_date("delivery_date") IS NULL AND "delivery_date" IS NOT NULL)
)
) WHERE broken IS NOT NULL
UNION
SELECT 'options' AS source, number + 1 AS row, broken[1] AS "column", broken[2] AS rule
FROM (
    SELECT number, unnest([
        CASE WHEN "order_id" IS NULL THEN ['order_id', 'is missing'] END,
        CASE WHEN ("order_id" = '') THEN ['order_id', 'is empty'] END,
        CASE WHEN (strlen("order_id") > 200) THEN ['order_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("order_id")) THEN ['order_id', 'has outer spaces or control characters'] END,
        CASE WHEN "carrier_id" IS NULL THEN ['carrier_id', 'is missing'] END,
        CASE WHEN ("carrier_id" = '') THEN ['carrier_id', 'is empty'] END,
        CASE WHEN (strlen("carrier_id") > 200) THEN ['carrier_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("carrier_id")) THEN ['carrier_id', 'has outer spaces or control characters'] END,
        CASE WHEN ("outlet_id" = '') THEN ['outlet_id', 'is empty'] END,
        CASE WHEN (strlen("outlet_id") > 200) THEN ['outlet_id', 'is longer than 200 bytes'] END,
        CASE WHEN (is_untrimmed("outlet_id")) THEN ['outlet_id', 'has outer spaces or control characters'] END,
        CASE WHEN "complaint_prob_premium" IS NULL THEN ['complaint_prob_premium', 'is missing'] END,
        CASE WHEN (as_number("complaint_prob_premium") IS NULL AND "complaint_prob_premium" IS NOT NULL) THEN ['complaint_prob_premium', 'is not a number'] END,
        CASE WHEN (isnan(as_number("complaint_prob_premium"))) THEN ['complaint_prob_premium', 'is not a number'] END,
        CASE WHEN (NOT isnan(as_number("complaint_prob_premium")) AND NOT as_number("complaint_prob_premium") BETWEEN 0 AND 1) THEN ['complaint_prob_premium', 'is outside [0, 1]'] END,
        CASE WHEN "return_prob_premium" IS NULL THEN ['return_prob_premium', 'is missing'] END,
        CASE WHEN (as_number("return_prob_premium") IS NULL AND "return_prob_premium" IS NOT NULL) THEN ['return_prob_premium', 'is not a number'] END,
        CASE WHEN (isnan(as_number("return_prob_premium"))) THEN ['return_prob_premium', 'is not a number'] END,
        CASE WHEN (NOT isnan(as_number("return_prob_premium")) AND NOT as_number("return_prob_premium") BETWEEN 0 AND 1) THEN ['return_prob_premium', 'is outside [0, 1]'] END,
        CASE WHEN (as_count("load") IS NULL AND "load" IS NOT NULL) THEN ['load', 'is not a whole number'] END,
        CASE WHEN (as_count("load") < 1) THEN ['load', 'is below 1'] END,
        CASE WHEN (as_count("load") > 1000000000000) THEN ['load', 'is above 1,000,000,000,000'] END
    ]) AS broken
    FROM options_raw
    WHERE getvariable('num_options_refused') > 0
    AND (
    "order_id" IS NULL
    OR ("order_id" = '')
    OR (strlen("order_id") > 200)
    OR (is_untrimmed("order_id"))
    OR "carrier_id" IS NULL
    OR ("carrier_id" = '')
    OR (strlen("carrier_id") > 200)
    OR (is_untrimmed("carrier_id"))
    OR ("outlet_id" = '')
    OR (strlen("outlet_id") > 200)
    OR (is_untrimmed("outlet_id"))
    OR "complaint_prob_premium" IS NULL
    OR (as_number("complaint_prob_premium") IS NULL AND "complaint_prob_premium" IS NOT NULL)
    OR (isnan(as_number("complaint_prob_premium")))
    OR (NOT isnan(as_number("complaint_prob_premium")) AND NOT as_number("complaint_prob_premium") BETWEEN 0 AND 1)
    OR "return_prob_premium" IS NULL
    OR (as_number("return_prob_premium") IS NULL AND "return_prob_premium" IS NOT NULL)
    OR (isnan(as_number("return_prob_premium")))
    OR (NOT isnan(as_number("return_prob_premium")) AND NOT as_number("return_prob_premium") BETWEEN 0 AND 1)
    OR (as_count("load") IS NULL AND "load" IS NOT NULL)
    OR (as_count("load") < 1)
    OR (as_count("load") > 1000000000000)
)
) WHERE broken IS NOT NULL
UNION
SELECT 'options', number + 1, 'order_id', 'names no order'
FROM options WHERE order_number IS NULL AND order_id NOT IN (
    SELECT order_id FROM orders_raw
    WHERE order_id IS NOT NULL AND (
    "order_id" IS NULL
    OR ("order_id" = '')
    OR (strlen("order_id") > 200)
    OR (is_untrimmed("order_id"))
    OR "merchant_id" IS NULL
    OR ("merchant_id" = '')
    OR (strlen("merchant_id") > 200)
    OR (is_untrimmed("merchant_id"))
    OR ("carrier_id" = '')
    OR (strlen("carrier_id") > 200)
    OR (is_untrimmed("carrier_id"))
    OR "region_id" IS NULL
    OR ("region_id" = '')
    OR (strlen("region_id") > 200)
    OR (is_untrimmed("region_id"))
    OR ("outlet_id" = '')
    OR (strlen("outlet_id") > 200)
    OR (is_untrimmed("outlet_id"))
    OR ("category_id" = '')
    OR (strlen("category_id") > 200)
    OR (is_untrimmed("category_id"))
    OR (as_number("order_value_cny") IS NULL AND "order_value_cny" IS NOT NULL)
    OR (NOT isfinite(as_number("order_value_cny")))
    OR (NOT isnan(as_number("order_value_cny")) AND as_number("order_value_cny") < 0)
    OR "complaint_prob_standard" IS NULL
    OR (as_number("complaint_prob_standard") IS NULL AND "complaint_prob_standard" IS NOT NULL)
    OR (isnan(as_number("complaint_prob_standard")))
    OR (NOT isnan(as_number("complaint_prob_standard")) AND NOT as_number("complaint_prob_standard") BETWEEN 0 AND 1)
    OR (as_number("complaint_prob_premium") IS NULL AND "complaint_prob_premium" IS NOT NULL)
    OR (isnan(as_number("complaint_prob_premium")))
    OR (NOT isnan(as_number("complaint_prob_premium")) AND NOT as_number("complaint_prob_premium") BETWEEN 0 AND 1)
    OR "return_prob_standard" IS NULL
    OR (as_number("return_prob_standard") IS NULL AND "return_prob_standard" IS NOT NULL)
    OR (isnan(as_number("return_prob_standard")))
    OR (NOT isnan(as_number("return_prob_standard")) AND NOT as_number("return_prob_standard") BETWEEN 0 AND 1)
    OR (as_number("return_prob_premium") IS NULL AND "return_prob_premium" IS NOT NULL)
    OR (isnan(as_number("return_prob_premium")))
    OR (NOT isnan(as_number("return_prob_premium")) AND NOT as_number("return_prob_premium") BETWEEN 0 AND 1)
    OR (as_flag("is_eligible") IS NULL AND "is_eligible" IS NOT NULL)
    OR (as_count("load") IS NULL AND "load" IS NOT NULL)
    OR (as_count("load") < 1)
    OR (as_count("load") > 1000000000000)
    OR ("pin" NOT IN ('must', 'never'))
    OR (as_date("ship_date") IS NULL AND "ship_date" IS NOT NULL)
    OR (as_date("delivery_date") IS NULL AND "delivery_date" IS NOT NULL)
)
);

-- check: as many rows were read as the record says
CREATE TEMP VIEW check_num_rows AS
SELECT item, claim('$.inputs.' || item || '.num_rows')::BIGINT AS published, restated
FROM (
SELECT 'orders' AS item, (SELECT count(*) FROM orders_raw) AS restated
UNION ALL SELECT 'options' AS item, (SELECT count(*) FROM options_raw) AS restated
UNION ALL SELECT 'capacity' AS item, (SELECT count(*) FROM capacity_raw) AS restated
UNION ALL SELECT 'merchants' AS item, (SELECT count(*) FROM merchants_raw) AS restated
) WHERE published IS DISTINCT FROM restated;
-- check: no small table has a broken row
CREATE TEMP VIEW check_small_tables AS
SELECT 'capacity row ' || (number + 1) AS item, 'counts' AS published, 'breaks a rule' AS restated FROM capacity_raw
WHERE (
    ("carrier_id" = '')
    OR (strlen("carrier_id") > 200)
    OR (is_untrimmed("carrier_id"))
    OR ("region_id" = '')
    OR (strlen("region_id") > 200)
    OR (is_untrimmed("region_id"))
    OR ("outlet_id" = '')
    OR (strlen("outlet_id") > 200)
    OR (is_untrimmed("outlet_id"))
    OR "slots" IS NULL
    OR (as_count("slots") IS NULL AND "slots" IS NOT NULL)
    OR (as_count("slots") < 0)
    OR (as_count("slots") > 1000000000000)
    OR (as_date("service_date") IS NULL AND "service_date" IS NOT NULL)
    OR (as_count("min_parcels") IS NULL AND "min_parcels" IS NOT NULL)
    OR (as_count("min_parcels") < 0)
    OR (as_count("min_parcels") > 1000000000000)
    OR (as_number("penalty_cny") IS NULL AND "penalty_cny" IS NOT NULL)
    OR (NOT isfinite(as_number("penalty_cny")))
    OR (NOT isnan(as_number("penalty_cny")) AND as_number("penalty_cny") < 0)
    OR (as_count("priority") IS NULL AND "priority" IS NOT NULL)
    OR (as_count("priority") < 0)
    OR (as_count("priority") > 1000000000000)
)
UNION ALL
SELECT 'merchants row ' || (number + 1) AS item, 'counts' AS published, 'breaks a rule' AS restated FROM merchants_raw
WHERE (
    "merchant_id" IS NULL
    OR ("merchant_id" = '')
    OR (strlen("merchant_id") > 200)
    OR (is_untrimmed("merchant_id"))
    OR (as_count("num_orders") IS NULL AND "num_orders" IS NOT NULL)
    OR (as_count("num_orders") < 1)
    OR (as_count("num_orders") > 1000000000000)
    OR (as_number("take_up") IS NULL AND "take_up" IS NOT NULL)
    OR (isnan(as_number("take_up")))
    OR (NOT isnan(as_number("take_up")) AND NOT as_number("take_up") BETWEEN 0 AND 1)
    OR (as_flag("is_enrolled") IS NULL AND "is_enrolled" IS NOT NULL)
    OR (as_count("cap_override") IS NULL AND "cap_override" IS NOT NULL)
    OR (as_count("cap_override") < 0)
    OR (as_count("cap_override") > 1000000000000)
    OR (as_number("daily_budget_cny") IS NULL AND "daily_budget_cny" IS NOT NULL)
    OR (NOT isfinite(as_number("daily_budget_cny")))
    OR (NOT isnan(as_number("daily_budget_cny")) AND as_number("daily_budget_cny") < 0)
    OR ("owner_id" = '')
    OR (strlen("owner_id") > 200)
    OR (is_untrimmed("owner_id"))
);
-- check: no order has a carrier twice
CREATE TEMP VIEW check_pairs AS
SELECT min(order_id) || ' ' || carrier_id AS item, 1 AS published,
    count(*) AS restated
FROM options WHERE order_number IS NOT NULL
GROUP BY order_number, carrier_id HAVING count(*) > 1;

-- 3. What premium saves, for every way to carry every order that may be recommended.
--
--     saving = round(take-up * fulfilment * (complaints avoided * cost of one
--              + returns avoided * cost of one)) - the part of the fee that counts
--
-- in micro-CNY, in floating point in this order, rounded half to even once; from there
-- on all is whole numbers. With `objective.confidence` the bracket h becomes
-- h - caution * |h|. Enrolment, eligibility and pins to "never" keep an order out; so
-- does a carrier that is not in the policy's roster.

CREATE MACRO saving(take_up, kept, complaint_drop, return_drop) AS
    round_even(
        (take_up * kept) * doubted(
            complaint_drop * getvariable('complaint_cost')
            + return_drop * getvariable('return_cost')
        ),
        0
    )::BIGINT - getvariable('counted_fee');

-- Carriers of the roster, with the share of promises that each keeps in each region.
CREATE TEMP TABLE promise AS
SELECT
    r.carrier_id,
    r.region_id,
    coalesce(here.probability, anywhere.probability, 1.0) AS kept
FROM (
    SELECT unnest(getvariable('roster')) AS carrier_id, region_id
    FROM (SELECT DISTINCT region_id FROM orders)
) AS r
LEFT JOIN fulfilment AS here
    ON here.carrier_id = r.carrier_id AND here.region_id = r.region_id
LEFT JOIN fulfilment AS anywhere
    ON anywhere.carrier_id = r.carrier_id AND anywhere.region_id IS NULL;

CREATE TEMP TABLE offer AS
SELECT
    w.number,
    w.merchant_id,
    w.carrier_id,
    w.region_id,
    w.outlet_id,
    w.day,
    w.further,
    w.load,
    saving(
        w.take_up,
        k.kept,
        w.complaint_prob_standard - w.complaint_prob_premium,
        w.return_prob_standard - w.return_prob_premium
    ) AS saving
FROM ways AS w
JOIN promise AS k ON k.carrier_id = w.carrier_id AND k.region_id = w.region_id;

CREATE TEMP TABLE seen_carrier AS SELECT DISTINCT carrier_id FROM carriers_read();

-- Orders by number, with what keeps each out: those that are open have a way.
CREATE TEMP TABLE state AS
SELECT
    o.number,
    o.order_id,
    o.merchant_id,
    o.region_id,
    coalesce(o.pin = 'must', false) AS is_pinned,
    o.ineligible_reason,
    CASE
        WHEN o.kept_out IS NOT NULL THEN o.kept_out
        WHEN o.number NOT IN (SELECT number FROM offer) THEN 'CARRIER_INACTIVE'
    END AS kept_out,
    o.day
FROM orders AS o;

-- 4. Caps: how many of each merchant's parcels may be recommended.
--
-- floor: the rate times the merchant's parcels, rounded down, in whole numbers.
-- carryover: what waits from earlier nights is added, as far as the window has room.
-- pooled: what rounding down leaves over for all together goes to the largest
-- fractions, one parcel each, where it is of use; equal fractions by a hash of the
-- merchant's id and the date. `cap_override` stands instead of all that, and a budget
-- for the merchant's share of the fees lowers it.

CREATE TEMP TABLE base AS
SELECT
    s.merchant_id,
    count(*) AS there,
    count(*) FILTER (s.kept_out IS DISTINCT FROM 'INELIGIBLE') AS eligible,
    count(*) FILTER (s.kept_out IS NULL) AS num_open
FROM state AS s
GROUP BY s.merchant_id;

CREATE TEMP TABLE based AS
SELECT
    b.merchant_id,
    b.num_open,
    CASE
        WHEN getvariable('cap_base') = 'eligible_orders' THEN b.eligible
        ELSE coalesce(m.num_orders, b.there)
    END AS num_orders,
    m.cap_override,
    m.daily_budget_cny
FROM base AS b
LEFT JOIN merchants AS m USING (merchant_id);

-- A key of 64 bits: FNV-1a over the bytes, then the end of MurmurHash3, salted.
CREATE MACRO mask() AS 18446744073709551615::UHUGEINT;
CREATE MACRO times(a, b) AS ((a::UHUGEINT * b::UHUGEINT) & mask())::UBIGINT;
CREATE MACRO mixed_last(a) AS xor(a, a >> 33);
CREATE MACRO mixed_twice(a) AS mixed_last(times(xor(a, a >> 33), 14181476777654086739));
CREATE MACRO mixed(a) AS mixed_twice(times(xor(a, a >> 33), 18397679294719823053));
CREATE MACRO bytes(name) AS list_transform(
    regexp_extract_all(hex(encode(name)), '..'), lambda pair: ('0x' || pair)::UBIGINT
);
CREATE MACRO key_of(name, salt) AS mixed(list_reduce(
    list_prepend(
        xor(14695981039346656037::UBIGINT, times(salt, 11400714819323198485)), bytes(name)
    ),
    lambda state, byte: times(xor(state, byte), 1099511628211)
));

-- What rounding down leaves, with every merchant as it is tonight.
CREATE TEMP TABLE own AS
SELECT
    merchant_id,
    num_orders,
    num_open,
    cap_override,
    daily_budget_cny,
    CASE WHEN cap_override IS NULL THEN num_orders ELSE 0 END AS counted,
    (num_orders::HUGEINT * getvariable('rate') // 1000000000)::BIGINT AS floor_cap,
    (CASE WHEN cap_override IS NULL THEN num_orders ELSE 0 END)::HUGEINT
        * getvariable('rate') AS earned_nano
FROM based;

CREATE TEMP TABLE pooled AS
SELECT
    merchant_id,
    row_number() OVER (
        ORDER BY earned_nano % 1000000000 DESC, key_of(
            merchant_id,
            (getvariable('night') - DATE '0001-01-01') + 1
        )
    ) AS turn
FROM own
WHERE getvariable('rounding') = 'pooled'
    AND earned_nano % 1000000000 > 0
    AND num_open > floor_cap;

CREATE TEMP TABLE banked AS
SELECT
    o.merchant_id,
    coalesce(b.carried_in_nano, 0)::HUGEINT AS carried_in,
    coalesce(b.room_nano, 0)::HUGEINT AS room,
    o.earned_nano AS earned,
    greatest(
        0,
        least(coalesce(b.carried_in_nano, 0), coalesce(b.room_nano, 0))::HUGEINT
            + o.earned_nano
    ) // 1000000000 AS granted
FROM own AS o
LEFT JOIN table_of('bank.parquet') AS b USING (merchant_id)
WHERE getvariable('rounding') = 'carryover';

CREATE MACRO merchant_fee() AS
    getvariable('fee') * nano(policy_text('$.fee.payer.merchant'));

CREATE TEMP TABLE cap AS
SELECT
    merchant_id,
    num_orders,
    num_open,
    least(granted, affordable)::BIGINT AS cap,
    coalesce(affordable < granted, false) AS has_budget
FROM (
    SELECT
        o.merchant_id,
        o.num_orders,
        o.num_open,
        coalesce(o.cap_override, CASE getvariable('rounding')
            WHEN 'carryover' THEN b.granted
            WHEN 'pooled' THEN o.floor_cap + coalesce((p.turn <= (
                SELECT sum(earned_nano % 1000000000) // 1000000000 FROM own
            ))::INT, 0)
            ELSE o.floor_cap
        END) AS granted,
        -- The budget in CNY as it is written, over the merchant's share of one fee.
        CASE WHEN merchant_fee() > 0 AND o.daily_budget_cny IS NOT NULL THEN
            (o.daily_budget_cny::VARCHAR::DECIMAL(38, 12) * 1000000000000)::HUGEINT * 1000
            // merchant_fee()
        END AS affordable
    FROM own AS o
    LEFT JOIN pooled AS p USING (merchant_id)
    LEFT JOIN banked AS b USING (merchant_id)
);

-- check: no merchant has more orders than the merchants table says
CREATE TEMP VIEW check_num_orders AS
SELECT b.merchant_id AS item, m.num_orders AS published, b.there AS restated
FROM base AS b JOIN merchants AS m USING (merchant_id)
WHERE m.num_orders < b.there;

-- What is left of whole parcels, at least 0.
CREATE MACRO left_over(a) AS ((a % 1000000000) + 1000000000) % 1000000000;

-- check: the bank's part of the night follows from what was carried in
CREATE TEMP VIEW check_bank AS
SELECT
    coalesce(b.merchant_id, g.merchant_id) AS item,
    [g.earned_nano, g.granted, g.carried_out_nano]::HUGEINT[] AS published,
    [b.earned, b.granted, left_over(b.carried_in + b.earned - b.granted * 1000000000)]
        AS restated
FROM banked AS b
FULL JOIN table_of('bank.parquet') AS g USING (merchant_id)
WHERE published IS DISTINCT FROM restated;

-- 5. Capacity rows tonight, and what each parcel counts in.
--
-- A row takes every parcel that matches all that it names. Rows of a carrier, and
-- perhaps a region, an outlet and a day, that nest are lanes; all others stand beside
-- them. A place that no row takes has room for nothing, or for everything where the
-- configuration says `open`; one that rows beside the lanes take has the room that
-- these leave.

-- A dated row holds on its day, and there instead of one without a date. Peaks
-- multiply slots, rounded down; parcels of other nights are taken off, down to 0.
CREATE TEMP TABLE expanded AS
SELECT c.number, c.carrier_id, c.region_id, c.outlet_id, d.day, c.attributes,
    c.slots, c.min_parcels, c.penalty_cny, c.priority
FROM capacity AS c
JOIN (SELECT DISTINCT day FROM state) AS d ON c.service_date IS NULL OR c.service_date = d.day
QUALIFY row_number() OVER (
    PARTITION BY c.carrier_id, c.region_id, c.outlet_id, d.day, c.attributes
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

CREATE TEMP TABLE in_flight AS FROM table_of('in_flight.parquet');

CREATE TEMP TABLE row_tonight AS
SELECT
    r.number,
    r.carrier_id,
    r.region_id,
    r.outlet_id,
    r.day,
    r.attributes,
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
WHERE w.region_id IS NULL AND w.outlet_id IS NOT NULL AND NOT w.has_attribute
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
    r.carrier_id IS NOT NULL AND NOT r.has_attribute AND c.number IS NULL AS is_lane
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

-- check: the lanes nest, so that each has one lane around it
CREATE TEMP VIEW check_nesting AS
SELECT lane::VARCHAR AS item, 1 AS published, count(DISTINCT above) AS restated
FROM (
    SELECT lane, coalesce(lag(lane) OVER (PARTITION BY place ORDER BY depth), 0) AS above
    FROM path
)
GROUP BY lane HAVING count(DISTINCT above) > 1;

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
    p.place,
    o.carrier_id,
    o.load,
    o.saving
FROM offer AS o
JOIN cell AS c ON c.carrier_id = o.carrier_id AND c.region_id = o.region_id
    AND c.outlet_id IS NOT DISTINCT FROM o.outlet_id
    AND c.day IS NOT DISTINCT FROM o.day AND c.further IS NOT DISTINCT FROM o.further
JOIN place AS p ON p.carrier_id = o.carrier_id AND p.region_id = o.region_id
    AND p.outlet_id IS NOT DISTINCT FROM o.outlet_id AND p.day IS NOT DISTINCT FROM o.day;
-- What has been read is not needed any more.
DROP TABLE offer;
DROP VIEW ways;
DROP TABLE orders;

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
    sum(w.load * c.part)::HUGEINT AS load, max(w.load * c.part) AS heaviest,
    any_value(c.part) AS part, any_value(c.take_up) AS take_up
FROM way AS w
JOIN counting AS c USING (merchant_id)
WHERE getvariable('has_limits')
GROUP BY w.cell, w.place, w.merchant_id;

-- What a row that holds purchases is asked about, and what it holds.
CREATE TEMP TABLE counted AS
SELECT 'lane' AS of, l.lane AS id, l.slots, coalesce(f.num_ways, 0)::BIGINT AS num_ways,
    coalesce(f.low, (SELECT min(take_up) FROM counting)) AS low,
    coalesce(f.high, (SELECT min(take_up) FROM counting)) AS high
FROM lane AS l
LEFT JOIN (
    SELECT p.lane, sum(b.num_ways) AS num_ways, min(b.take_up) AS low,
        max(b.take_up) AS high
    FROM path AS p JOIN bulk AS b USING (place)
    GROUP BY p.lane
) AS f USING (lane)
UNION ALL
SELECT 'row', r.id, r.slots, coalesce(f.num_ways, 0)::BIGINT, coalesce(f.low, 1), coalesce(f.high, 1)
FROM beside_row AS r
LEFT JOIN (
    SELECT t.number, t.day, sum(b.num_ways) AS num_ways, min(b.take_up) AS low,
        max(b.take_up) AS high
    FROM taking AS t JOIN bulk AS b USING (cell)
    GROUP BY t.number, t.day
) AS f ON f.number = r.number AND f.day IS NOT DISTINCT FROM r.day;
CREATE TEMP TABLE given_room (of VARCHAR, id BIGINT, room BIGINT);

-- The tables of the night as they were published.
CREATE TEMP VIEW decisions_published AS FROM table_of('decisions.parquet');
CREATE TEMP VIEW lanes_published AS FROM table_of('lanes.parquet');
CREATE TEMP VIEW merchants_published AS FROM table_of('merchants.parquet');

-- 7. What each row holds, the limits beside caps and lanes, and the plan.

CREATE MACRO most_expected(slots, take_up, num_ways) AS CASE
    WHEN take_up > 0 THEN least(
        (slots::DECIMAL(38, 24) // take_up)::BIGINT, greatest(slots, num_ways)
    )
    ELSE greatest(slots, num_ways)
END;
CREATE TEMP TABLE held AS
SELECT c.of, c.id, CASE
    WHEN getvariable('count_rule') = 'recommendations' OR c.slots = 0 THEN c.slots
    WHEN getvariable('count_rule') = 'quantile' THEN g.room
    WHEN c.low = c.high OR c.num_ways = 0 THEN
        most_expected(c.slots, c.high, c.num_ways)
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
DROP TABLE state;
CREATE TEMP TABLE chosen AS
SELECT d.number, w.place, w.cell, w.load * c.part AS load, w.load AS slots, c.part,
    w.saving, w.merchant_id, d.is_in_pool
FROM decision AS d
LEFT JOIN way AS w ON w.number = d.number AND w.carrier_id = d.carrier_id
LEFT JOIN counting AS c ON c.merchant_id = w.merchant_id
WHERE (d.is_premium AND d.reason <> 'EXPLORED')
    OR (d.reason = 'HELD_OUT' AND d.arm = 'policy');
CREATE TEMP TABLE pool AS
SELECT d.number, w.place, w.cell, w.saving, w.merchant_id, d.reason
FROM decision AS d
LEFT JOIN way AS w ON w.number = d.number AND w.carrier_id = d.carrier_id
WHERE d.is_in_pool;
CREATE TEMP TABLE explored AS FROM pool WHERE reason = 'EXPLORED';

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

-- The limits beside caps and lanes. What a parcel counts for in one: its load, one, or
-- its merchant's part. An empty penalty: kept at any price.
CREATE TEMP TABLE depth_of AS SELECT lane, min(depth) AS depth FROM path GROUP BY lane;
SET VARIABLE share_base = (
    SELECT least(
        (SELECT sum(cap) FROM cap),
        (SELECT sum(h.room // getvariable('scale'))
         FROM held AS h LEFT JOIN depth_of AS d ON d.lane = h.id
         WHERE h.of = 'lane' AND coalesce(d.depth, 1) = 1)
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
CREATE MACRO row_name(carrier_id, region_id, outlet_id, day, attributes) AS coalesce(nullif(
    concat_ws(', ', 'carrier ' || carrier_id, 'region ' || region_id,
        'outlet ' || outlet_id, 'service_date ' || day,
        nullif(list_aggregate(list_filter(list_transform(
            range(len(attributes)),
            lambda i: attribute_names()[i + 1] || ' ' || attributes[i + 1]
        ), lambda text: text IS NOT NULL), 'string_agg', ', '), '')), ''), 'all parcels');
CREATE MACRO owner_cap(num_orders) AS num_orders::HUGEINT * getvariable('rate') // 1000000000;

CREATE TEMP TABLE bound_row AS
SELECT row_number() OVER (ORDER BY turn, step) AS id, *
FROM (
    SELECT 1 AS turn, r.id AS step, 'capacity' AS kind,
        row_name(r.carrier_id, r.region_id, r.outlet_id, r.day, r.attributes) AS name,
        NULL::BIGINT AS low, h.room AS high, NULL::BIGINT AS penalty, 0 AS priority,
        'load' AS weight, getvariable('scale') AS scale, r.number AS capacity_row, r.day,
        NULL::VARCHAR AS owner_id, NULL::BIGINT AS rule
    FROM beside_row AS r JOIN held AS h ON h.of = 'row' AND h.id = r.id
    UNION ALL
    SELECT 2, 0, 'capacity', 'parcels that no row takes', NULL, 0, NULL, 0, 'one', 1,
        NULL, NULL, NULL, NULL
    WHERE EXISTS (FROM shut)
    UNION ALL
    SELECT 3, row_number() OVER (), 'min_parcels',
        row_name(carrier_id, region_id, outlet_id, day, attributes),
        min_parcels, NULL, penalty, priority, 'one', 1, number, day, NULL, NULL
    FROM laid WHERE min_parcels > 0
    UNION ALL
    SELECT 4, step, 'fairness', "column" || ' ' || list_aggregate(members, 'string_agg', ', '),
        low, high, penalty, priority, 'one', 1, NULL, NULL, NULL, step
    FROM fairness
    UNION ALL
    SELECT 5, row_number() OVER (), 'owner_cap', 'owner ' || m.owner_id, NULL,
        owner_cap(sum(c.num_orders))::BIGINT, NULL, 0, 'one', 1, NULL, NULL, m.owner_id, NULL
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
    END::BIGINT, NULL, 0, 'part', getvariable('scale'), NULL, NULL, NULL, NULL
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

CREATE MACRO counts_for(weight, load, part, num) AS CASE weight
    WHEN 'load' THEN load WHEN 'part' THEN part * num ELSE num END;
-- Every way in bulk with the limits that it counts in.
CREATE TEMP TABLE entry AS
SELECT r.id, r.weight, b.* FROM bound_row AS r JOIN in_cell AS i USING (id)
JOIN bulk AS b ON b.cell = i.cell
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
        coalesce(sum(counts_for(e.weight, e.load, e.part, e.num_ways)), 0),
        coalesce(max(counts_for(e.weight, e.heaviest, e.part, 1)), 0)
            * (SELECT sum(least(cap, (SELECT count(*) FROM decision WHERE kept_out IS NULL)))
               FROM cap)
    ) > coalesce(r.high, 1152921504606846976) AS can_bind
FROM bound_row AS r LEFT JOIN entry AS e USING (id)
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
SELECT b.id, b.kind, b.name, b.low, b.high, b.penalty, b.priority, b.weight, b.scale,
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

-- 8. Both bounds, from the plan and the published prices alone.
--
-- The plan is worth its savings less the penalties of floors that it misses. No plan
-- is worth more than caps, slots and limits at their prices, and what each order is
-- worth above all the prices that its best way is charged (at least nothing, unless it
-- is pinned and chosen). Where orders have prices of their own the second bound holds:
-- lanes that hold no other lane are then knapsacks, which optimizer verify solves by
-- itself.

CREATE TEMP TABLE order_price AS
SELECT s.number, p.order_id, micro_of(p.price_cny) AS price
FROM order_prices_said AS p
LEFT JOIN (SELECT number, order_id FROM decision WHERE kept_out IS NULL) AS s USING (order_id);
SET VARIABLE by_lanes = (SELECT prices_orders() AND getvariable('is_packing'));

-- What a way is charged: each lane over its place, each limit over its cell, its
-- merchant's limits, all by what it counts for. `caps` and `budgets` are parts of it.
CREATE TEMP TABLE parent AS
SELECT DISTINCT lane, lag(lane) OVER (PARTITION BY place ORDER BY depth) AS above FROM path;
CREATE TEMP TABLE has_child AS SELECT DISTINCT above AS lane FROM parent WHERE above IS NOT NULL;
CREATE TEMP TABLE place_price AS
SELECT p.place, sum(s.part_price)::HUGEINT AS lanes,
    sum(CASE WHEN h.lane IS NOT NULL THEN s.part_price ELSE 0 END)::HUGEINT AS outer_lanes,
    min(s.room - u.explored) AS room,
    min(s.room - u.used) AS room_left,
    max_by(p.lane, p.depth) AS deepest
FROM path AS p
JOIN lane_said AS s USING (lane)
JOIN lane_used AS u USING (lane)
LEFT JOIN has_child AS h USING (lane)
GROUP BY p.place;

CREATE TEMP TABLE limit_price AS
SELECT id, weight, kind IN ('owner_cap', 'fairness') AS is_cap, kind = 'subsidy' AS is_budget,
    part_price AS price,
    CASE WHEN can_bind THEN coalesce(high, 1152921504606846976) END AS high,
    CASE WHEN can_bind THEN coalesce(high, 1152921504606846976) - used END AS room_left
FROM limit_said WHERE id IS NOT NULL;
CREATE TEMP TABLE cell_price AS
SELECT i.cell,
    coalesce(sum(price) FILTER (weight = 'load'), 0)::HUGEINT AS by_load,
    coalesce(sum(price) FILTER (weight = 'one' AND NOT is_cap), 0)::HUGEINT AS by_one,
    coalesce(sum(price) FILTER (is_cap), 0)::HUGEINT AS caps,
    coalesce(sum(greatest(price, 0)) FILTER (is_cap), 0)::HUGEINT AS cap_ceilings,
    min(high) FILTER (weight = 'load') AS load_room,
    min(high) FILTER (weight = 'one') AS one_room,
    min(room_left) FILTER (weight = 'load') AS load_left,
    min(room_left) FILTER (weight = 'one' AND NOT is_cap) AS one_left,
    min(room_left) FILTER (is_cap) AS cap_left
FROM in_cell AS i JOIN limit_price USING (id) GROUP BY i.cell;
CREATE TEMP TABLE merchant_price AS
SELECT i.merchant_id,
    coalesce(sum(price), 0)::HUGEINT AS caps,
    coalesce(sum(greatest(price, 0)), 0)::HUGEINT AS cap_ceilings,
    min(high) AS one_room,
    min(room_left) AS cap_left
FROM of_merchant AS i JOIN limit_price USING (id) GROUP BY i.merchant_id;
SET VARIABLE budget_price = (
    SELECT coalesce(sum(price), 0) FROM limit_price WHERE is_budget);
SET VARIABLE budget_room = (SELECT min(high) FROM limit_price WHERE is_budget);
SET VARIABLE budget_left = (SELECT min(room_left) FROM limit_price WHERE is_budget);

-- Every way of every order that the solver had, at the prices; `nets` are what is left
-- of the saving: after all charges, without those of caps and budgets, after those of
-- caps alone, and without that of the budget.
CREATE TEMP TABLE priced AS
SELECT w.number, w.merchant_id, w.saving, w.load, w.place,
    w.saving - w.load * p.lanes AS after_lanes,
    w.load <= p.room AS has_room
FROM way AS w
JOIN place_price AS p USING (place)
WHERE NOT getvariable('is_packing');
CREATE TEMP TABLE charged AS
SELECT w.number, w.merchant_id, w.saving, w.place,
    w.load * c.part AS load,
    w.load * c.part * p.lanes AS lanes,
    w.load * c.part * p.outer_lanes AS outer_lanes,
    w.load * c.part * coalesce(l.by_load, 0) + coalesce(l.by_one, 0) AS rows,
    coalesce(l.caps, 0) + coalesce(m.caps, 0) AS caps,
    coalesce(l.cap_ceilings, 0) + coalesce(m.cap_ceilings, 0) AS cap_ceilings,
    c.part * getvariable('budget_price') AS budget,
    w.load * c.part <= p.room
        AND w.load * c.part <= coalesce(l.load_room, w.load * c.part)
        AND 1 <= coalesce(l.one_room, 1) AND 1 <= coalesce(m.one_room, 1)
        AND c.part <= coalesce(getvariable('budget_room'), c.part) AS has_room,
    p.room >= 1 AND coalesce(l.load_room, 1) >= 1
        AND 2 - w.load * c.part <= coalesce(least(l.one_room, m.one_room), 1)
        AND c.part <= coalesce(getvariable('budget_room'), c.part)
            + w.load * c.part - 1 AS would_fit,
    w.load * c.part <= p.room_left
        AND w.load * c.part <= coalesce(l.load_left, w.load * c.part)
        AND 1 <= coalesce(l.one_left, 1) AS fits_rows,
    1 <= coalesce(l.cap_left, 1) AND 1 <= coalesce(m.cap_left, 1) AS fits_caps,
    c.part <= coalesce(getvariable('budget_left'), c.part) AS fits_budget
FROM way AS w
JOIN place_price AS p USING (place)
JOIN counting AS c USING (merchant_id)
LEFT JOIN cell_price AS l USING (cell)
LEFT JOIN merchant_price AS m USING (merchant_id)
WHERE getvariable('is_packing');

CREATE TEMP TABLE best AS
SELECT number, max(saving) AS saving, max(after_lanes) AS after_all,
    bool_or(has_room) AS has_room,
    NULL::HUGEINT AS without_caps, NULL::HUGEINT AS after_caps, NULL::HUGEINT AS without_budget,
    NULL::BOOLEAN AS lacks_rows, NULL::BOOLEAN AS lacks_caps, NULL::BOOLEAN AS lacks_budget
FROM priced GROUP BY number
UNION ALL
SELECT number, max(saving), max(saving - lanes - rows - caps - budget), bool_or(has_room),
    max(saving - lanes - rows - caps + cap_ceilings), max(saving - cap_ceilings),
    max(saving - lanes - rows - caps),
    NOT bool_or(fits_rows), NOT bool_or(fits_caps), NOT bool_or(fits_budget)
FROM charged GROUP BY number;

CREATE TEMP TABLE kept_pin AS
SELECT number FROM decision AS s SEMI JOIN chosen AS c USING (number)
WHERE s.is_pinned AND getvariable('is_packing');

SET VARIABLE penalties = (
    SELECT coalesce(sum((low - used)::HUGEINT * penalty), 0) FROM limit_said
    WHERE can_bind AND penalty > 0 AND used < low
);
SET VARIABLE planned = (SELECT coalesce(sum(saving::HUGEINT), 0) FROM chosen);
SET VARIABLE primal_bound = getvariable('planned') - getvariable('penalties');
-- Caps and limits at their prices; a floor that is missed counts as far as it is met.
SET VARIABLE dual_of_limits = (
    SELECT coalesce(sum((c.cap - u.explored)::HUGEINT * c.price), 0)
    FROM cap_said AS c JOIN cap_used AS u USING (merchant_id)
) + (
    SELECT coalesce(sum(CASE
        WHEN part_price > 0 THEN high::HUGEINT * part_price
        WHEN penalty IS NULL THEN least(low, used)::HUGEINT * part_price
        ELSE low::HUGEINT * part_price
    END), 0) FROM limit_said WHERE can_bind AND part_price <> 0
);
SET VARIABLE dual_of_orders = (
    SELECT coalesce(sum((s.room - u.explored)::HUGEINT * s.part_price), 0)
    FROM lane_said AS s JOIN lane_used AS u USING (lane)
) + (
    SELECT coalesce(sum(CASE
        WHEN k.number IS NULL THEN greatest(0, b.after_all - c.price)
        ELSE b.after_all - c.price
    END::HUGEINT), 0)
    FROM best AS b
    JOIN decision AS d USING (number)
    JOIN cap_said AS c ON c.merchant_id = d.true_merchant_id
    LEFT JOIN kept_pin AS k USING (number)
    WHERE NOT d.is_in_pool
);
-- What the second bound is made of: for each lane the ways that end there, with what
-- they are worth above every other price.
CREATE TEMP TABLE item AS
SELECT p.deepest AS lane, w.load,
    w.saving - w.outer_lanes - w.rows - w.caps - w.budget - c.price
        - coalesce(o.price, 0) AS value
FROM charged AS w
JOIN place_price AS p USING (place)
JOIN cap_said AS c USING (merchant_id)
LEFT JOIN order_price AS o USING (number)
WHERE getvariable('by_lanes') AND value > 0;
CREATE TEMP TABLE given_worth (lane BIGINT, worth HUGEINT, by_price HUGEINT);

-- 9. Every decision: its plan, reason, saving and surplus; and the tables made of them.

SET VARIABLE dual_of_prices = getvariable('dual_of_limits') + CASE
    WHEN getvariable('by_lanes') THEN (
        SELECT coalesce(sum(s.room::HUGEINT * s.part_price), 0)
        FROM lane_said AS s SEMI JOIN has_child USING (lane)
    ) + (SELECT coalesce(sum(price::HUGEINT), 0) FROM order_price)
      + (SELECT coalesce(sum(worth), 0) FROM given_worth)
    ELSE getvariable('dual_of_orders')
END;
-- What every plan saves is a multiple of what divides all savings and penalties, so a
-- bound may be rounded down to one.
SET VARIABLE unit = greatest(1, coalesce(claim('$.certificate.unit')::BIGINT, 1));
CREATE TEMP VIEW check_unit AS
SELECT w.number::VARCHAR AS item, getvariable('unit')::VARCHAR AS published,
    w.saving::VARCHAR AS restated
FROM way AS w
JOIN decision AS d USING (number)
WHERE NOT d.is_in_pool AND w.saving % getvariable('unit') <> 0
UNION ALL
SELECT name, getvariable('unit')::VARCHAR, penalty::VARCHAR FROM limit_said
WHERE can_bind AND penalty > 0 AND penalty % getvariable('unit') <> 0;
SET VARIABLE dual_bound = getvariable('dual_of_prices')
    - (getvariable('dual_of_prices') % getvariable('unit') + getvariable('unit'))
        % getvariable('unit');
-- A bound that is not the least that single large lanes give is a bound all the same.
SET VARIABLE dual_bound = CASE
    WHEN claim('$.certificate.dual_bound')::HUGEINT BETWEEN getvariable('dual_bound')
        AND getvariable('dual_bound')
            + (SELECT coalesce(sum(by_price - worth), 0) FROM given_worth)
    THEN claim('$.certificate.dual_bound')::HUGEINT
    ELSE getvariable('dual_bound')
END;

-- Why an order is not chosen. At the prices: capacity stops what would not make it
-- with a free cap, the cap what would not make it with free capacity. What the prices
-- let in, only the room that the plan leaves can stop.
CREATE TEMP TABLE stop AS
SELECT b.number, d.true_merchant_id AS merchant_id, b.saving, b.has_room,
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
    WHEN getvariable('is_packing') AND NOT has_room THEN 'CAPACITY_FULL'
    WHEN by_budget AND NOT by_capacity AND NOT by_cap THEN 'BUDGET'
    WHEN by_capacity = by_cap THEN 'CAP_AND_CAPACITY'
    WHEN by_capacity THEN 'CAPACITY_FULL'
    WHEN has_budget THEN 'BUDGET'
    ELSE 'CAP_FULL'
END AS reason
FROM stop;

-- check: every order has one decision, and every decision an order
CREATE TEMP VIEW check_orders AS
SELECT order_id AS item, 'no decision, or no merchant of its own' AS published, 'one' AS restated
FROM decision WHERE reason IS NULL OR merchant_id IS DISTINCT FROM true_merchant_id
UNION ALL
SELECT 'decisions.parquet', (SELECT count(*) FROM table_of('decisions.parquet'))::VARCHAR,
    (SELECT count(*) FROM decision)::VARCHAR
WHERE (SELECT count(*) FROM table_of('decisions.parquet')) <> (SELECT count(*) FROM decision);

-- check: who may not be recommended says so, with the reason, and nobody else does
CREATE TEMP VIEW check_kept_out AS
SELECT order_id AS item, concat_ws(': ', reason, ineligible_reason) AS published,
    concat_ws(': ', kept_out, CASE WHEN kept_out = 'INELIGIBLE' THEN true_ineligible_reason END)
        AS restated
FROM decision
WHERE kept_out IS NOT NULL AND (
        reason IS DISTINCT FROM kept_out OR is_premium OR carrier_id IS NOT NULL
        OR saving_cny IS NOT NULL OR surplus_cny IS NOT NULL OR has_room IS NOT NULL
        OR margin_cny IS NOT NULL OR margin_low_cny IS NOT NULL
        OR margin_high_cny IS NOT NULL
        OR arm IS NOT NULL OR propensity <> 0
        OR ineligible_reason IS DISTINCT FROM
            CASE WHEN kept_out = 'INELIGIBLE' THEN true_ineligible_reason END)
    OR kept_out IS NULL AND (ineligible_reason IS NOT NULL
        OR reason IN ('INELIGIBLE', 'PINNED_OUT', 'CARRIER_INACTIVE'));

-- check: what is chosen, or drawn, goes with a carrier that it may go with
CREATE TEMP VIEW check_carrier AS
SELECT d.order_id AS item, d.carrier_id AS published, 'a carrier of the order' AS restated
FROM decision AS d JOIN chosen AS c USING (number) WHERE c.saving IS NULL
UNION ALL
SELECT d.order_id, d.carrier_id, 'a carrier of the order'
FROM decision AS d JOIN pool AS c USING (number) WHERE c.saving IS NULL
UNION ALL
SELECT order_id, carrier_id, NULL FROM decision
WHERE carrier_id IS NOT NULL
    AND reason NOT IN ('CHOSEN', 'HELD_OUT', 'EXPLORED');

-- check: savings, to the micro-CNY
CREATE TEMP VIEW check_saving AS
SELECT d.order_id AS item, d.saving_cny AS published, coalesce(c.saving, e.saving, v.saving) / 1e6 AS restated
FROM decision AS d
LEFT JOIN verdict AS v USING (number)
LEFT JOIN chosen AS c USING (number)
LEFT JOIN pool AS e USING (number)
WHERE d.saving_cny IS DISTINCT FROM coalesce(c.saving, e.saving, v.saving)::DOUBLE / 1e6;

-- check: what orders are worth above their prices
CREATE TEMP VIEW check_surplus AS
SELECT d.order_id AS item, d.surplus_cny AS published, v.surplus::DOUBLE / 1e6 AS restated
FROM decision AS d LEFT JOIN verdict AS v USING (number)
WHERE d.surplus_cny IS DISTINCT FROM v.surplus::DOUBLE / 1e6;

-- check: reasons, and whether there is a slot at all
CREATE TEMP VIEW check_reason AS
SELECT d.order_id AS item, concat_ws(', ', d.reason, d.has_room) AS published,
    concat_ws(', ', v.reason, v.has_room) AS restated
FROM decision AS d
JOIN verdict AS v USING (number)
LEFT JOIN chosen AS c USING (number)
WHERE NOT d.is_in_pool AND (
    d.has_room IS DISTINCT FROM v.has_room
    OR c.number IS NULL AND (
        d.reason IS DISTINCT FROM v.reason OR d.is_premium OR d.arm IS NOT NULL
        OR d.propensity <> 0)
    OR c.number IS NOT NULL AND (
        d.reason NOT IN ('CHOSEN', 'HELD_OUT')
        OR d.is_premium IS DISTINCT FROM (d.reason = 'CHOSEN')
        OR d.arm IS DISTINCT FROM 'policy'
        OR d.propensity IS DISTINCT FROM 1.0 - getvariable('hold_share')::DOUBLE)
);

-- check: of the chosen those are kept back that the draw names
CREATE MACRO half(purpose, which) AS ('0x' || substring(sha256(concat_ws(
    '|', config_text('$.holdout.seed'), getvariable('night'), purpose
)), 16 * which - 15, 16))::UBIGINT;
CREATE TEMP VIEW check_kept_back AS
WITH planned AS (
    SELECT d.order_id, d.reason FROM decision AS d SEMI JOIN chosen AS c USING (number)
)
SELECT order_id AS item, reason AS published, 'all or none kept back' AS restated
FROM planned
WHERE getvariable('hold_share') IN (0, 1)
    AND (reason = 'HELD_OUT') <> (getvariable('hold_share') = 1)
UNION ALL
SELECT order_id, reason, CASE WHEN draw < share THEN 'HELD_OUT' ELSE 'CHOSEN' END
FROM (
    SELECT order_id, reason,
        mixed(((mixed(xor(key_of(order_id, 0), half('hold', 1)))::UHUGEINT
            + half('hold', 2)) & mask())::UBIGINT) AS draw,
        ((getvariable('hold_share') * 1000000000)::UHUGEINT
            * 18446744073709551616::UHUGEINT // 1000000000) AS share
    FROM planned
    WHERE getvariable('hold_share') NOT IN (0, 1)
)
WHERE (draw < share) <> (reason = 'HELD_OUT');

-- check: explored orders were open, each gets premium with one half, and any saving
CREATE TEMP VIEW check_pool AS
SELECT order_id AS item, reason AS published, 'a draw of the explore arm' AS restated
FROM decision
WHERE is_in_pool AND (
    getvariable('explore_share') = 0 OR kept_out IS NOT NULL
    OR reason NOT IN ('EXPLORED', 'HELD_OUT') OR propensity <> 0.5 OR NOT has_room
    OR is_premium IS DISTINCT FROM (reason = 'EXPLORED'))
    OR NOT is_in_pool AND reason = 'EXPLORED';

-- check: the recommendations are the decisions to recommend
CREATE TEMP VIEW check_recommendations AS
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
CREATE TEMP VIEW check_commitments AS
WITH taking_slots AS (
    SELECT number, place,
        (load + getvariable('scale') - 1) // getvariable('scale') AS load
    FROM chosen
    UNION ALL SELECT number, place, 1 FROM explored
), own AS (
    SELECT d.order_id, l.carrier_id, l.region_id, l.outlet_id, l.day AS service_date,
        t.load::BIGINT AS load
    FROM decision AS d JOIN taking_slots AS t USING (number)
    JOIN place_price AS p USING (place) JOIN lane AS l ON l.lane = p.deepest
    WHERE d.is_premium
), theirs AS (
    SELECT order_id, carrier_id, region_id, outlet_id, service_date, load
    FROM table_of('commitments.parquet')
)
SELECT order_id AS item, 'published' AS published, NULL AS restated
FROM (FROM theirs EXCEPT ALL FROM own)
UNION ALL
SELECT order_id, NULL, 'restated' FROM (FROM own EXCEPT ALL FROM theirs);

-- check: caps, their use and their limit
CREATE TEMP VIEW check_caps AS
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
CREATE TEMP VIEW check_lanes AS
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
CREATE TEMP VIEW check_limits AS
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
CREATE TEMP VIEW check_conflicts AS
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
CREATE TEMP VIEW check_order_prices AS
SELECT order_id AS item, price AS published, NULL AS restated
FROM order_price
LEFT JOIN kept_pin AS k USING (number)
WHERE number IS NULL OR price IS NULL OR price = 0 OR price < 0 AND k.number IS NULL;

-- check: both bounds, and whether the plan is good enough
CREATE TEMP VIEW check_bounds AS
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
CREATE TEMP TABLE lane_node AS
SELECT lane, any_value(price) AS price, any_value(above) AS above FROM (
    SELECT p.lane, sum(s.part_price) OVER walk AS price, lag(p.lane) OVER walk AS above
    FROM path AS p JOIN lane_said AS s USING (lane)
    WINDOW walk AS (PARTITION BY p.place ORDER BY p.depth)
) GROUP BY lane;
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
CREATE TEMP VIEW check_lowest_prices AS
SELECT concat_ws('/', l.carrier_id, l.region_id, l.outlet_id, l.day) AS item,
    s.price / 1e6 AS published, 'lower' AS restated
FROM lane AS l
JOIN lane_said AS s USING (lane)
LEFT JOIN lane_node AS n USING (lane)
WHERE getvariable('has_rule') AND s.price > 0
    AND (n.lane IS NULL OR l.lane NOT IN (SELECT node FROM grounded));
-- check: cap prices are the lowest beside them
CREATE TEMP VIEW check_cap_prices AS
SELECT merchant_id AS item, price / 1e6 AS published, lowest / 1e6 AS restated
FROM cap_range
WHERE getvariable('has_rule') AND price IS DISTINCT FROM lowest;

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
CREATE TEMP TABLE nearer AS
WITH RECURSIVE near(source, node, distance) USING KEY (source, node) AS (
    SELECT lane::BIGINT, lane::BIGINT, 0::BIGINT FROM ground_of_lane
    WHERE getvariable('has_rule') AND reach > 0
    UNION
    SELECT n.source, x.target, min(n.distance + x.cost)::BIGINT
    FROM near AS n
    JOIN exchange AS x ON x.source = n.node
    JOIN ground_of_lane AS g ON g.lane = n.source
    LEFT JOIN recurring.near AS k ON k.source = n.source AND k.node = x.target
    WHERE x.target <> 0 AND n.distance + x.cost < least(g.reach, coalesce(k.distance, g.reach))
    GROUP BY n.source, x.target
) FROM near;
-- Whether more is near than must be looked at: then ends may stand in for a margin.
SET VARIABLE is_far = (
    SELECT coalesce(max(num), 0) > 1024
    FROM (SELECT count(*) AS num FROM nearer GROUP BY source)
);

CREATE TEMP TABLE cap_left AS
SELECT r.*, c.cap - u.explored AS places, u.used, g.distance
FROM cap_range AS r
JOIN cap_said AS c USING (merchant_id)
JOIN cap_used AS u USING (merchant_id)
LEFT JOIN to_ground AS g ON g.node = r.node;
CREATE TEMP TABLE swap AS
SELECT x.source AS node, n.node AS lane, min(x.cost + n.distance) AS distance
FROM exchange AS x
JOIN nearer AS n ON n.source = x.target
WHERE x.source < 0 AND n.node > 0
GROUP BY x.source, n.node;
CREATE TEMP TABLE exact_margin AS
SELECT w.number, -min(c.highest - w.after_lanes + coalesce(n.distance, g.distance)) AS margin
FROM priced AS w
JOIN place_price AS p USING (place)
JOIN cap_left AS c USING (merchant_id)
JOIN ground_of_lane AS g ON g.lane = p.deepest
LEFT JOIN nearer AS n ON n.source = p.deepest AND n.node = c.node
WHERE getvariable('has_rule') AND c.places > 0
    AND w.number NOT IN (SELECT number FROM chosen WHERE number IS NOT NULL)
GROUP BY w.number
UNION ALL
SELECT w.number, w.net - c.highest + least(c.distance, coalesce(s.distance, c.distance))
FROM held_way AS w
JOIN cap_left AS c USING (merchant_id)
LEFT JOIN swap AS s ON s.node = c.node AND s.lane = w.lane
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
CREATE TEMP VIEW check_margin AS
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
CREATE TEMP VIEW check_slots AS
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
    LEFT JOIN nearer AS i ON i.source = n.above AND i.node = n.lane
    LEFT JOIN nearer AS o ON o.source = n.lane AND o.node = n.above
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
FROM lane AS l JOIN lane_said AS s USING (lane) JOIN stated AS t USING (lane)
WHERE published IS DISTINCT FROM t.restated::HUGEINT[] AND NOT (
    getvariable('is_far') AND published[3:] IS NOT DISTINCT FROM (t.restated::HUGEINT[])[3:]
    AND (published[1] IS NULL OR published[1] = t.restated[1])
    AND (published[2] IS NULL OR published[2] = t.restated[2])
);

-- check: what one more in a cap brings and one fewer costs
CREATE TEMP VIEW check_cap_values AS
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

-- 13. The evidence: a hash for each decision as it is written, and one for 128 of them.
--
-- A decision's text is its columns with tabs between, money and shares in millionths,
-- nothing for what is missing. A leaf is the SHA-256 of a zero byte and the SHA-256 of
-- each of its rows; evidence.txt has the leaves, one a line.

CREATE MACRO millionths(number) AS round(number * 1000000, 0)::BIGINT;
CREATE TEMP TABLE leaf AS
SELECT number // 128 AS leaf, sha256(unhex('00' || string_agg(hash, '' ORDER BY number))) AS hash
FROM (
    SELECT file_row_number AS number, sha256(concat(
        order_id, chr(9),
        merchant_id, chr(9),
        is_premium, chr(9),
        carrier_id, chr(9),
        millionths(saving_cny), chr(9),
        reason, chr(9),
        millionths(margin_cny), chr(9),
        millionths(margin_low_cny), chr(9),
        millionths(margin_high_cny), chr(9),
        millionths(surplus_cny), chr(9),
        has_room, chr(9),
        ineligible_reason, chr(9),
        arm, chr(9),
        millionths(propensity)
    )) AS hash
    FROM read_parquet(getvariable('run') || '/decisions.parquet', file_row_number = true)
)
GROUP BY number // 128;
CREATE TEMP TABLE leaf_said AS
SELECT step - 1 AS leaf, lines[step] AS hash
FROM (
    SELECT unnest(range(1, len(lines) + 1)) AS step, lines FROM (
        SELECT string_split(rtrim(content, chr(10)), chr(10)) AS lines
        FROM read_text(getvariable('run') || '/evidence.txt')
    )
) WHERE lines[step] <> '';

-- check: the evidence is of these decisions
CREATE TEMP VIEW check_evidence AS
SELECT 'rows from ' || (128 * coalesce(l.leaf, s.leaf) + 1) AS item,
    s.hash AS published, l.hash AS restated
FROM leaf AS l FULL JOIN leaf_said AS s ON s.leaf = l.leaf
WHERE s.hash IS DISTINCT FROM l.hash;
-- check: decisions and recommendations stand by order_id
CREATE TEMP VIEW check_order AS
SELECT order_id AS item, file_row_number AS published, 'earlier' AS restated
FROM (
    SELECT order_id, file_row_number, lag(order_id) OVER (ORDER BY file_row_number) AS before
    FROM read_parquet(getvariable('run') || '/recommendations.parquet', file_row_number = true)
    UNION ALL
    SELECT order_id, file_row_number, lag(order_id) OVER (ORDER BY file_row_number) AS before
    FROM read_parquet(getvariable('run') || '/decisions.parquet', file_row_number = true)
)
WHERE before >= order_id;

-- 14. What a person should look at: each warning by its code and its number.

CREATE TEMP TABLE warning_true AS
SELECT * FROM (VALUES
    (CASE WHEN getvariable('is_open') THEN 'UNCOVERED_LANES_OPEN' ELSE 'UNCOVERED_LANES_CLOSED' END,
        (SELECT count(*) FROM lane WHERE is_loose AND NOT is_beside)),
    ('UNKNOWN_CARRIERS', (SELECT count(*) FROM seen_carrier
        WHERE NOT list_contains(getvariable('roster'), carrier_id))),
    ('BUDGETS_BELOW_FEE', (SELECT count(*) FROM cap WHERE has_budget AND cap = 0)),
    ('IDLE_CAPACITY_ROWS', (SELECT count(*) FROM beside_row AS r
        WHERE (r.day IS NOT NULL OR r.has_attribute) AND NOT EXISTS (
            FROM taking AS t WHERE t.number = r.number AND t.day IS NOT DISTINCT FROM r.day))),
    ('LOADS_ABOVE_SLOTS', (SELECT count(*) FROM (
        SELECT number FROM charged GROUP BY number
        HAVING NOT bool_or(has_room) AND bool_or(would_fit)))),
    ('KEEP_PREVIOUS_UNUSED', (SELECT (getvariable('is_packing')
        AND config_text('$.solver.keep_previous') = 'true')::INT)),
    ('TABLE_SUBSTITUTED', (SELECT len(json_keys(said, '$.substitutes')) FROM record)),
    ('AFTER_LATER_NIGHTS', (SELECT (claim('$.is_late') = 'true')::INT))
) AS warnings(code, num) WHERE num > 0;

-- check: the warnings are those of this night, with their numbers. (Sentences alone, in
-- records of format 1, are counted. New rules since a model was learned are not stated.)
CREATE TEMP VIEW check_warnings AS
WITH given AS (
    SELECT unnest(from_json(json_extract(said, '$.warnings'), '["JSON"]')) AS warning FROM record
), theirs AS (
    SELECT code, CASE WHEN code = 'TABLE_SUBSTITUTED' THEN count(*) ELSE any_value(num) END AS num
    FROM (
        SELECT json_extract_string(warning, '$.code') AS code, coalesce(
            json_extract(warning, '$.values.num_lanes'), json_extract(warning, '$.values.num_carriers'),
            json_extract(warning, '$.values.num_merchants'), json_extract(warning, '$.values.num_rows'),
            json_extract(warning, '$.values.num_parcels'), '1'
        )::BIGINT AS num
        FROM given WHERE json_type(warning) = 'OBJECT'
    ) WHERE code <> 'MODEL_BEFORE_RULES' GROUP BY code
), is_words AS (SELECT bool_or(json_type(warning) <> 'OBJECT') AS words FROM given)
SELECT coalesce(t.code, w.code) AS item, t.num AS published, w.num AS restated
FROM theirs AS t FULL JOIN warning_true AS w USING (code), is_words
WHERE NOT coalesce(words, false) AND t.num IS DISTINCT FROM w.num
UNION ALL
SELECT 'warnings', (SELECT count(*) FROM given), (SELECT sum(
    CASE code WHEN 'TABLE_SUBSTITUTED' THEN num ELSE 1 END) FROM warning_true)
FROM is_words
WHERE words AND config_text('$.model') IS NULL
    AND (SELECT count(*) FROM given) <> (SELECT coalesce(sum(
        CASE code WHEN 'TABLE_SUBSTITUTED' THEN num ELSE 1 END), 0) FROM warning_true);

-- What does not hold.
SELECT 'rules' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_rules
UNION ALL
SELECT 'num_rows' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_num_rows
UNION ALL
SELECT 'small_tables' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_small_tables
UNION ALL
SELECT 'pairs' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_pairs
UNION ALL
SELECT 'num_orders' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_num_orders
UNION ALL
SELECT 'bank' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_bank
UNION ALL
SELECT 'nesting' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_nesting
UNION ALL
SELECT 'unit' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_unit
UNION ALL
SELECT 'orders' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_orders
UNION ALL
SELECT 'kept_out' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_kept_out
UNION ALL
SELECT 'carrier' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_carrier
UNION ALL
SELECT 'saving' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_saving
UNION ALL
SELECT 'surplus' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_surplus
UNION ALL
SELECT 'reason' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_reason
UNION ALL
SELECT 'kept_back' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_kept_back
UNION ALL
SELECT 'pool' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_pool
UNION ALL
SELECT 'recommendations' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_recommendations
UNION ALL
SELECT 'commitments' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_commitments
UNION ALL
SELECT 'caps' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_caps
UNION ALL
SELECT 'lanes' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_lanes
UNION ALL
SELECT 'limits' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_limits
UNION ALL
SELECT 'conflicts' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_conflicts
UNION ALL
SELECT 'order_prices' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_order_prices
UNION ALL
SELECT 'bounds' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_bounds
UNION ALL
SELECT 'summary' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_summary
UNION ALL
SELECT 'amounts' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_amounts
UNION ALL
SELECT 'no_other' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_no_other
UNION ALL
SELECT 'certificate' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_certificate
UNION ALL
SELECT 'termination' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_termination
UNION ALL
SELECT 'tonight' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_tonight
UNION ALL
SELECT 'figures' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_figures
UNION ALL
SELECT 'lowest_prices' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_lowest_prices
UNION ALL
SELECT 'cap_prices' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_cap_prices
UNION ALL
SELECT 'margin' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_margin
UNION ALL
SELECT 'slots' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_slots
UNION ALL
SELECT 'cap_values' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_cap_values
UNION ALL
SELECT 'evidence' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_evidence
UNION ALL
SELECT 'order' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_order
UNION ALL
SELECT 'warnings' AS "check", item::VARCHAR AS item,
    published::VARCHAR AS published, restated::VARCHAR AS restated
FROM check_warnings;
