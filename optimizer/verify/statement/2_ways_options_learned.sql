-- Probabilities that the tables lack are a learned model's: optimizer verify fills this
-- table, by the number of the option; without it nothing below is stated.
CREATE TEMP TABLE scored (
    number BIGINT, complaint_prob_standard DOUBLE, complaint_prob_premium DOUBLE,
    return_prob_standard DOUBLE, return_prob_premium DOUBLE
);
CREATE MACRO carriers_read() AS TABLE
    SELECT carrier_id FROM options WHERE order_number IS NOT NULL;
CREATE MACRO outlets_read() AS TABLE
    SELECT outlet_id FROM options WHERE order_number IS NOT NULL
    UNION SELECT outlet_id FROM orders;
-- Ways to carry an order that may be recommended: those of its options.
CREATE TEMP VIEW ways AS
SELECT o.number, o.merchant_id, o.region_id, o.day, o.take_up, w.carrier_id,
    coalesce(w.outlet_id, o.outlet_id) AS outlet_id, o.further,
    coalesce(w.load, o.load, 1) AS load, s.complaint_prob_standard,
    s.complaint_prob_premium, s.return_prob_standard, s.return_prob_premium
FROM options AS w
JOIN orders AS o ON o.number = w.order_number
JOIN scored AS s ON s.number = w.number
WHERE o.kept_out IS NULL;
