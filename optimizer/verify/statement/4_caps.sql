-- 4. Caps: how many of each merchant's parcels may be recommended.
--
-- floor: the rate times the merchant's parcels, rounded down, in whole numbers.
-- carryover: what waits from earlier nights is added, as far as the window has room.
-- pooled: what rounding down leaves over for all together goes to the largest
-- fractions, one parcel each, where it is of use; equal fractions by a hash of the
-- merchant's id and the date. `cap_override` stands instead of all that, and a budget
-- for the merchant's share of the fees lowers it.

CREATE TEMP TABLE base AS
SELECT
    s.merchant_id,
    count(*) AS there,
    count(*) FILTER (s.kept_out IS DISTINCT FROM 'INELIGIBLE') AS eligible,
    count(*) FILTER (s.kept_out IS NULL) AS num_open
FROM state AS s
GROUP BY s.merchant_id;

CREATE TEMP TABLE based AS
SELECT
    b.merchant_id,
    b.num_open,
    CASE
        WHEN getvariable('cap_base') = 'eligible_orders' THEN b.eligible
        ELSE coalesce(m.num_orders, b.there)
    END AS num_orders,
    m.cap_override,
    m.daily_budget_cny
FROM base AS b
LEFT JOIN merchants AS m USING (merchant_id);

-- A key of 64 bits: FNV-1a over the bytes, then the end of MurmurHash3, salted.
CREATE MACRO mask() AS 18446744073709551615::UHUGEINT;
CREATE MACRO times(a, b) AS ((a::UHUGEINT * b::UHUGEINT) & mask())::UBIGINT;
CREATE MACRO mixed_last(a) AS xor(a, a >> 33);
CREATE MACRO mixed_twice(a) AS mixed_last(times(xor(a, a >> 33), 14181476777654086739));
CREATE MACRO mixed(a) AS mixed_twice(times(xor(a, a >> 33), 18397679294719823053));
CREATE MACRO bytes(name) AS list_transform(
    regexp_extract_all(hex(encode(name)), '..'), lambda pair: ('0x' || pair)::UBIGINT
);
CREATE MACRO key_of(name, salt) AS mixed(list_reduce(
    list_prepend(
        xor(14695981039346656037::UBIGINT, times(salt, 11400714819323198485)), bytes(name)
    ),
    lambda state, byte: times(xor(state, byte), 1099511628211)
));

-- What rounding down leaves, with every merchant as it is tonight.
CREATE TEMP TABLE own AS
SELECT
    merchant_id,
    num_orders,
    num_open,
    cap_override,
    daily_budget_cny,
    CASE WHEN cap_override IS NULL THEN num_orders ELSE 0 END AS counted,
    (num_orders::HUGEINT * getvariable('rate') // 1000000000)::BIGINT AS floor_cap,
    (CASE WHEN cap_override IS NULL THEN num_orders ELSE 0 END)::HUGEINT
        * getvariable('rate') AS earned_nano
FROM based;

CREATE TEMP TABLE pooled AS
SELECT
    merchant_id,
    row_number() OVER (
        ORDER BY earned_nano % 1000000000 DESC, key_of(
            merchant_id,
            (getvariable('night') - DATE '0001-01-01') + 1
        )
    ) AS turn
FROM own
WHERE getvariable('rounding') = 'pooled'
    AND earned_nano % 1000000000 > 0
    AND num_open > floor_cap;

CREATE TEMP TABLE banked AS
SELECT
    o.merchant_id,
    coalesce(b.carried_in_nano, 0)::HUGEINT AS carried_in,
    coalesce(b.room_nano, 0)::HUGEINT AS room,
    o.earned_nano AS earned,
    greatest(
        0,
        least(coalesce(b.carried_in_nano, 0), coalesce(b.room_nano, 0))::HUGEINT
            + o.earned_nano
    ) // 1000000000 AS granted
FROM own AS o
LEFT JOIN table_of('bank.parquet') AS b USING (merchant_id)
WHERE getvariable('rounding') = 'carryover';

CREATE MACRO merchant_fee() AS
    getvariable('fee') * nano(policy_text('$.fee.payer.merchant'));

CREATE TEMP TABLE cap AS
SELECT
    merchant_id,
    num_orders,
    num_open,
    least(granted, affordable)::BIGINT AS cap,
    coalesce(affordable < granted, false) AS has_budget
FROM (
    SELECT
        o.merchant_id,
        o.num_orders,
        o.num_open,
        coalesce(o.cap_override, CASE getvariable('rounding')
            WHEN 'carryover' THEN b.granted
            WHEN 'pooled' THEN o.floor_cap + coalesce((p.turn <= (
                SELECT sum(earned_nano % 1000000000) // 1000000000 FROM own
            ))::INT, 0)
            ELSE o.floor_cap
        END) AS granted,
        -- The budget in CNY as it is written, over the merchant's share of one fee.
        CASE WHEN merchant_fee() > 0 AND o.daily_budget_cny IS NOT NULL THEN
            (o.daily_budget_cny::VARCHAR::DECIMAL(38, 12) * 1000000000000)::HUGEINT * 1000
            // merchant_fee()
        END AS affordable
    FROM own AS o
    LEFT JOIN pooled AS p USING (merchant_id)
    LEFT JOIN banked AS b USING (merchant_id)
);

-- check: no merchant has more orders than the merchants table says
CREATE TEMP TABLE check_num_orders AS
SELECT b.merchant_id AS item, m.num_orders AS published, b.there AS restated
FROM base AS b JOIN merchants AS m USING (merchant_id)
WHERE m.num_orders < b.there;

-- What is left of whole parcels, at least 0.
CREATE MACRO left_over(a) AS ((a % 1000000000) + 1000000000) % 1000000000;

-- check: the bank's part of the night follows from what was carried in
CREATE TEMP TABLE check_bank AS
SELECT
    coalesce(b.merchant_id, g.merchant_id) AS item,
    [g.earned_nano, g.granted, g.carried_out_nano]::HUGEINT[] AS published,
    [b.earned, b.granted, left_over(b.carried_in + b.earned - b.granted * 1000000000)]
        AS restated
FROM banked AS b
FULL JOIN table_of('bank.parquet') AS g USING (merchant_id)
WHERE published IS DISTINCT FROM restated;
