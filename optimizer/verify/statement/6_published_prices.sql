-- The tables of the night as they were published: before margins were amounts, the
-- column of that name was what an order is worth above its prices.
CREATE TEMP VIEW decisions_published AS
SELECT * EXCLUDE (margin_cny), margin_cny AS surplus_cny, NULL::DOUBLE AS margin_cny,
    NULL::DOUBLE AS margin_low_cny, NULL::DOUBLE AS margin_high_cny
FROM table_of('decisions.parquet');
CREATE TEMP VIEW lanes_published AS
SELECT *, NULL::DOUBLE AS one_more_cny, NULL::DOUBLE AS one_fewer_cny,
    NULL::DOUBLE AS one_more_around_cny, NULL::DOUBLE AS one_fewer_around_cny
FROM table_of('lanes.parquet');
CREATE TEMP VIEW merchants_published AS
SELECT *, NULL::DOUBLE AS one_more_cny, NULL::DOUBLE AS one_fewer_cny
FROM table_of('merchants.parquet');
