-- The tables of the night as they were published.
CREATE TEMP VIEW decisions_published AS FROM table_of('decisions.parquet');
CREATE TEMP VIEW lanes_published AS FROM table_of('lanes.parquet');
CREATE TEMP VIEW merchants_published AS FROM table_of('merchants.parquet');
