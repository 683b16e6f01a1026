-- 3. What premium saves, for every way to carry every order that may be recommended.
--
--     saving = round(take-up * fulfilment * (complaints avoided * cost of one
--              + returns avoided * cost of one)) - the part of the fee that counts
--
-- in micro-CNY, in floating point in this order, rounded half to even once; from there
-- on all is whole numbers. With `objective.confidence` the bracket h becomes
-- h - caution * |h|. Enrolment, eligibility and pins to "never" keep an order out; so
-- does a carrier that is not in the policy's roster; and where there are outboxes, one
-- that none of them takes, or none but a CSV file in which the order's or the merchant's
-- id would be a formula.

CREATE MACRO saving(take_up, kept, complaint_drop, return_drop) AS
    round_even(
        (take_up * kept) * doubted(
            complaint_drop * getvariable('complaint_cost')
            + return_drop * getvariable('return_cost')
        ),
        0
    )::BIGINT - getvariable('counted_fee');

-- Carriers of the roster, with the share of promises that each keeps in each region.
CREATE TEMP TABLE promise AS
SELECT
    r.carrier_id,
    r.region_id,
    coalesce(here.probability, anywhere.probability, 1.0) AS kept
FROM (
    SELECT unnest(getvariable('roster')) AS carrier_id, region_id
    FROM (SELECT DISTINCT region_id FROM orders)
) AS r
LEFT JOIN fulfilment AS here
    ON here.carrier_id = r.carrier_id AND here.region_id = r.region_id
LEFT JOIN fulfilment AS anywhere
    ON anywhere.carrier_id = r.carrier_id AND anywhere.region_id IS NULL;

SET VARIABLE has_outbox = EXISTS (FROM outbox);
CREATE TEMP TABLE unsafe AS SELECT number FROM orders
WHERE getvariable('has_outbox') AND (regexp_matches(order_id, '^[=+\-@\t\r\n＝＋－＠]')
    OR regexp_matches(merchant_id, '^[=+\-@\t\r\n＝＋－＠]'));
CREATE MACRO is_taken(carrier_id, is_safe) AS NOT getvariable('has_outbox') OR EXISTS (FROM outbox
    WHERE list_contains(names, lower(carrier_id)) AND (is_safe OR NOT is_csv));
CREATE TEMP TABLE sendable AS
SELECT carrier_id, region_id, kept, is_taken(carrier_id, false) AS takes_unsafe
FROM promise WHERE is_taken(carrier_id, true);

CREATE TEMP TABLE offer AS
SELECT
    w.number,
    w.merchant_id,
    w.carrier_id,
    w.region_id,
    w.outlet_id,
    w.day,
    w.further,
    w.load,
    saving(
        w.take_up,
        k.kept,
        w.complaint_prob_standard - w.complaint_prob_premium,
        w.return_prob_standard - w.return_prob_premium
    ) AS saving
FROM ways AS w
JOIN sendable AS k ON k.carrier_id = w.carrier_id AND k.region_id = w.region_id
WHERE k.takes_unsafe OR w.number NOT IN (SELECT number FROM unsafe);

CREATE TEMP TABLE seen_carrier AS SELECT DISTINCT carrier_id FROM carriers_read();

-- Names of the orders, their options and the roster.
CREATE TEMP TABLE night_name AS
SELECT DISTINCT * FROM (
    SELECT DISTINCT 'merchant_id' AS kind, merchant_id AS name FROM orders
    UNION ALL SELECT DISTINCT 'region_id', region_id FROM orders
    UNION ALL SELECT DISTINCT 'outlet_id', outlet_id FROM outlets_read()
    UNION ALL SELECT 'carrier_id', carrier_id FROM seen_carrier
    UNION ALL SELECT 'carrier_id', unnest(getvariable('roster'))
) WHERE name IS NOT NULL;

-- Why orders that nothing else keeps out have no offer: the options have no row of theirs,
-- none of a carrier of the roster, or none that an outbox takes.
CREATE TEMP TABLE wayless AS
SELECT o.number, CASE
    WHEN bool_or(list_contains(getvariable('roster'), w.carrier_id)) THEN 'NOT_DELIVERABLE'
    WHEN count(w.carrier_id) > 0 THEN 'CARRIER_INACTIVE' ELSE 'NO_OPTION' END AS why
FROM (SELECT number FROM orders ANTI JOIN offer USING (number)
    WHERE kept_out IS NULL) AS o
LEFT JOIN ways AS w USING (number)
GROUP BY o.number;

-- Orders by number, with what keeps each out: those that are open have a way.
CREATE TEMP VIEW state AS
SELECT
    o.number,
    o.order_id,
    o.merchant_id,
    o.region_id,
    coalesce(o.pin = 'must', false) AS is_pinned,
    o.ineligible_reason,
    coalesce(o.kept_out, n.why) AS kept_out,
    o.day
FROM orders AS o LEFT JOIN wayless AS n USING (number);
