-- Probabilities that the table lacks are a learned model's: optimizer verify fills this
-- table, by the number of the order; without it nothing below is stated.
CREATE TEMP TABLE scored (
    number BIGINT, complaint_prob_standard DOUBLE, complaint_prob_premium DOUBLE,
    return_prob_standard DOUBLE, return_prob_premium DOUBLE
);
CREATE MACRO carriers_read() AS TABLE SELECT carrier_id FROM orders;
CREATE MACRO outlets_read() AS TABLE SELECT outlet_id FROM orders;
-- Ways to carry an order that may be recommended: with its own carrier.
CREATE TEMP VIEW ways AS
SELECT o.number, o.merchant_id, o.region_id, o.day, o.take_up, o.carrier_id, o.outlet_id,
    o.further, coalesce(o.load, 1) AS load, s.complaint_prob_standard,
    s.complaint_prob_premium, s.return_prob_standard, s.return_prob_premium
FROM orders AS o JOIN scored AS s USING (number)
WHERE o.kept_out IS NULL;
