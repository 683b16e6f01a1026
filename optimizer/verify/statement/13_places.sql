-- 13. The places of rows in their files: the indexes of the decisions, and the order.

-- check: the index of merchants is of these decisions
CREATE TEMP TABLE check_merchant_index AS
WITH said AS (
    SELECT merchant_id, first_row, num_rows,
        lag(merchant_id) OVER (ORDER BY file_row_number) AS before
    FROM read_parquet(
        getvariable('run') || '/merchant_index.parquet', file_row_number = true)
)
SELECT coalesce(r.merchant_id, s.merchant_id) AS item,
    [s.first_row, s.num_rows] AS published, [r.first_row, r.num_rows] AS restated
FROM merchant_rows AS r FULL JOIN said AS s USING (merchant_id)
WHERE published IS DISTINCT FROM restated OR s.before >= s.merchant_id;
-- check: the index of orders has each row of the decisions once
CREATE TEMP TABLE check_order_index AS
WITH said AS (
    SELECT "row", order_key, lag(order_key) OVER (ORDER BY file_row_number) AS before
    FROM read_parquet(
        getvariable('run') || '/order_index.parquet', file_row_number = true)
)
SELECT 'row ' || coalesce(d.file_row_number, s."row") AS item,
    s."row" AS published, d.file_row_number AS restated
FROM read_parquet(
    getvariable('run') || '/decisions.parquet', file_row_number = true) AS d
FULL JOIN said AS s ON s."row" = d.file_row_number
WHERE d.file_row_number IS NULL OR s."row" IS NULL OR s.before > s.order_key
UNION ALL
SELECT 'row ' || "row", count(*), 1 FROM said GROUP BY "row" HAVING count(*) > 1;
-- check: decisions and recommendations stand by merchant_id and order_id
CREATE TEMP TABLE check_order AS
SELECT order_id AS item, file_row_number AS published, 'earlier' AS restated
FROM (
    SELECT order_id, file_row_number, (merchant_id, order_id) AS place,
        lag((merchant_id, order_id)) OVER (ORDER BY file_row_number) AS before
    FROM read_parquet(getvariable('run') || '/recommendations.parquet', file_row_number = true)
    UNION ALL
    SELECT order_id, file_row_number, (merchant_id, order_id) AS place,
        lag((merchant_id, order_id)) OVER (ORDER BY file_row_number) AS before
    FROM read_parquet(getvariable('run') || '/decisions.parquet', file_row_number = true)
)
WHERE before >= place;
