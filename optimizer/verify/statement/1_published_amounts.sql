-- The tables of the night as they were published.
CREATE TEMP VIEW decisions_published AS FROM table_of('decisions.parquet');
CREATE TEMP VIEW lanes_published AS FROM table_of('lanes.parquet');
CREATE TEMP VIEW merchants_published AS FROM table_of('merchants.parquet');
CREATE TEMP VIEW commitments_published AS FROM table_of('commitments.parquet');
CREATE TEMP VIEW in_flight_published AS FROM table_of('in_flight.parquet');
-- Whether slots of commitments are said; figures that the record may leave out.
SET VARIABLE has_loads = true;
SET VARIABLE unsaid_figures = ['num_branches'];
