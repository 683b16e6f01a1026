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
