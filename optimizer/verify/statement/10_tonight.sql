-- check: tonight stands last in the table of nights, as the record says
CREATE TEMP TABLE check_tonight AS
WITH own AS (
    SELECT getvariable('night') AS date, (SELECT count(*) FROM decision) AS num_orders,
        getvariable('num_chosen') AS num_chosen, (SELECT coalesce(sum(cap), 0) FROM cap) AS sum_of_caps,
        -- (Where savings are drawn, what is expected is by the mean of the model.)
        coalesce(on_draws(claim('$.summary.draw.mean_saving_cny')::DOUBLE),
            getvariable('saving')::DOUBLE / 1e6) AS saving_cny,
        claim('$.summary.fees_cny.total')::DOUBLE AS fees_cny,
        claim('$.certificate.relative_gap')::DOUBLE AS relative_gap,
        claim('$.summary.num_quarantined')::BIGINT AS num_quarantined,
        json_array_length((SELECT said FROM record), '$.warnings')::BIGINT AS num_warnings,
        NULL::VARCHAR AS run_id
)
SELECT 'nights.parquet' AS item, t::VARCHAR AS published, own::VARCHAR AS restated
FROM own LEFT JOIN table_of('nights.parquet') AS t ON t.date = own.date
WHERE t.date IS NULL OR t.run_id IS NOT NULL
    OR (t.num_orders, t.num_chosen, t.sum_of_caps, t.num_quarantined, t.num_warnings)
        IS DISTINCT FROM (own.num_orders, own.num_chosen, own.sum_of_caps,
            own.num_quarantined, own.num_warnings)
    OR (t.saving_cny, t.fees_cny, t.relative_gap)
        IS DISTINCT FROM (own.saving_cny, own.fees_cny, own.relative_gap)
UNION ALL
SELECT 'nights.parquet', date || ' ' || count(*) || ' times', 'once'
FROM table_of('nights.parquet') GROUP BY date HAVING count(*) > 1;
