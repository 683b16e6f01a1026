-- 3. What premium saves, for every way to carry every order that may be recommended.
--
--     saving = round(take-up * fulfilment * (complaints avoided * cost of one
--              + returns avoided * cost of one)) - the part of the fee that counts
--
-- in micro-CNY, in floating point in this order, rounded half to even once; from there
-- on all is whole numbers. With `objective.confidence` the bracket h becomes
-- h - caution * |h|. Enrolment, eligibility and pins to "never" keep an order out; so
-- does a carrier that is not in the policy's roster.

CREATE TEMP TABLE enrolment AS
SELECT
    merchant_id,
    coalesce(take_up, 1.0) AS take_up,
    coalesce(is_enrolled, true) AS is_enrolled
FROM merchants;

-- Orders by number, with what keeps them out: the first that applies.
CREATE TEMP TABLE parcel AS
SELECT
    o.number,
    o.order_id,
    o.merchant_id,
    o.region_id,
    CASE
        WHEN o.ineligible_reason IS NOT NULL OR NOT coalesce(e.is_enrolled, true)
        THEN 'INELIGIBLE'
        WHEN o.pin = 'never' THEN 'PINNED_OUT'
    END AS kept_out,
    coalesce(
        o.ineligible_reason,
        CASE WHEN NOT e.is_enrolled THEN 'the merchant is not enrolled' END
    ) AS ineligible_reason,
    coalesce(o.pin = 'must', false) AS is_pinned,
    o.day
FROM orders AS o
LEFT JOIN enrolment AS e USING (merchant_id);

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

CREATE TEMP TABLE offer AS
SELECT
    p.number,
    p.merchant_id,
    w.carrier_id,
    p.region_id,
    w.outlet_id,
    p.day,
    w.further,
    w.load,
    saving(
        coalesce(e.take_up, 1.0),
        k.kept,
        w.complaint_prob_standard - w.complaint_prob_premium,
        w.return_prob_standard - w.return_prob_premium
    ) AS saving
FROM parcel AS p
JOIN ways AS w USING (number)
JOIN promise AS k ON k.carrier_id = w.carrier_id AND k.region_id = p.region_id
LEFT JOIN enrolment AS e ON e.merchant_id = p.merchant_id
WHERE p.kept_out IS NULL;

-- Orders by number, once more: those that are open are those that have a way.
CREATE TEMP TABLE state AS
SELECT
    p.number,
    p.order_id,
    p.merchant_id,
    p.region_id,
    p.is_pinned,
    p.ineligible_reason,
    coalesce(
        p.kept_out,
        CASE WHEN o.number IS NULL THEN 'CARRIER_INACTIVE' END
    ) AS kept_out,
    p.day
FROM parcel AS p
LEFT JOIN (SELECT DISTINCT number FROM offer) AS o USING (number);
