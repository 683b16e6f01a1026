CREATE MACRO carriers_read() AS TABLE SELECT carrier_id FROM orders;
CREATE MACRO outlets_read() AS TABLE SELECT outlet_id FROM orders;
-- Ways to carry an order that may be recommended: with its own carrier.
CREATE TEMP VIEW ways AS
SELECT number, merchant_id, region_id, day, take_up, carrier_id, outlet_id, further,
    coalesce(load, 1) AS load, complaint_prob_standard, complaint_prob_premium,
    return_prob_standard, return_prob_premium
FROM orders WHERE kept_out IS NULL;
