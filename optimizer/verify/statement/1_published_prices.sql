-- The tables of the night as they were published: before margins were amounts, the
-- column of that name was what an order is worth above its prices. The oldest tables
-- lack columns; what they meant is filled in, and what they do not say is null.
CREATE MACRO has_column(name, wanted) AS (
    SELECT count(*) > 0 FROM parquet_schema(getvariable('run') || '/' || name) AS s
    WHERE s.name = wanted
);
SET VARIABLE has_arms = has_column('decisions.parquet', 'arm');
SET VARIABLE has_loads = has_column('commitments.parquet', 'load');
SET VARIABLE unsaid_figures = CASE WHEN getvariable('has_arms') THEN ['num_branches']
    ELSE ['num_branches', 'problem_class', 'reasons.HELD_OUT', 'reasons.EXPLORED'] END;
CREATE TEMP TABLE decision_columns (arm VARCHAR, propensity DOUBLE);
-- Before there were arms, all that was chosen was chosen by the optimum.
CREATE TEMP VIEW decisions_published AS
SELECT * EXCLUDE (margin_cny) REPLACE (
        CASE WHEN getvariable('has_arms') THEN arm WHEN is_premium THEN 'policy' END AS arm,
        CASE WHEN getvariable('has_arms') THEN propensity
            ELSE is_premium::INT::DOUBLE END AS propensity
    ),
    margin_cny AS surplus_cny, NULL::DOUBLE AS margin_cny,
    NULL::DOUBLE AS margin_low_cny, NULL::DOUBLE AS margin_high_cny
FROM (
    FROM decision_columns UNION ALL BY NAME FROM table_of('decisions.parquet')
);
CREATE TEMP VIEW lanes_published AS
SELECT *, NULL::DOUBLE AS one_more_cny, NULL::DOUBLE AS one_fewer_cny,
    NULL::DOUBLE AS one_more_around_cny, NULL::DOUBLE AS one_fewer_around_cny
FROM table_of('lanes.parquet');
CREATE TEMP VIEW merchants_published AS
SELECT *, NULL::DOUBLE AS one_more_cny, NULL::DOUBLE AS one_fewer_cny
FROM table_of('merchants.parquet');
CREATE TEMP TABLE commitment_columns ("load" BIGINT);
CREATE TEMP VIEW commitments_published AS
FROM commitment_columns UNION ALL BY NAME FROM table_of('commitments.parquet');
CREATE TEMP TABLE in_flight_columns (num_slots BIGINT, num_parcels BIGINT);
CREATE TEMP VIEW in_flight_published AS
SELECT * REPLACE (coalesce(num_slots, num_parcels) AS num_slots)
FROM (FROM in_flight_columns UNION ALL BY NAME FROM table_of('in_flight.parquet'));
