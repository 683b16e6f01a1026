"""Exports like those that shops have: Douyin, Taobao, JD, WPS and others abroad."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import openpyxl

PROVINCES = ("浙江省", "广东省", "江苏省", "山东省")
COURIERS = ("中通快递", "圆通速递", "韵达快递", "顺丰速运")


def _history(rng: random.Random, num_rows: int) -> list[dict[str, Any]]:
    """Past parcels: what happened depends on courier and province."""
    rows = []
    for number in range(num_rows):
        courier, province = rng.choice(COURIERS), rng.choice(PROVINCES)
        risk = 0.01 + 0.02 * COURIERS.index(courier) + 0.01 * PROVINCES.index(province)
        rows.append(
            {
                "number": 700_000 + number,
                "day": f"2026/10/{1 + number % 28:02d}",
                "courier": courier,
                "province": province,
                "is_complaint": rng.random() < risk,
                "is_return": rng.random() < risk / 2,
            }
        )
    return rows


def douyin(folder: Path, num_orders: int = 2_000) -> list[Path]:
    """GB18030, amounts with a sign, a complaint's kind instead of a flag."""
    rng = random.Random(1)
    lines = ["主订单编号,商家ID,商品类目,订单应付金额,快递公司,收货省份,订单提交时间"]
    for number in range(num_orders):
        amount = rng.randint(2_000, 400_000) / 100
        lines.append(
            f'69{number:014d},S{number % 5},类{number % 3},"¥{amount:,.2f}",'
            f"{rng.choice(COURIERS)},{rng.choice(PROVINCES)},2026/11/22 10:00:00"
        )
    orders = folder / "抖店订单.csv"
    orders.write_bytes("\r\n".join(lines).encode("gb18030"))
    lines = ["订单编号,商家ID,快递公司,收货省份,发货时间,物流投诉,物流退货"]
    lines += [
        f"H{r['number']},S{r['number'] % 5},{r['courier']},{r['province']},{r['day']},"
        f"{'未送货上门' if r['is_complaint'] else '无'},"
        f"{'是' if r['is_return'] else '否'}"
        for r in _history(rng, 4_000)
    ]
    history = folder / "历史.csv"
    history.write_bytes("\r\n".join(lines).encode("gb18030"))
    return [orders, history]


def taobao(folder: Path, num_orders: int = 2_000) -> list[Path]:
    """UTF-8 with a mark, two numbers of an order, no returns in the history."""
    rng = random.Random(2)
    lines = ["订单编号,店铺名称,买家实付金额,物流公司,收货省份"]
    for number in range(num_orders):
        amount = rng.randint(2_000, 40_000) / 100
        courier, province = rng.choice(COURIERS), rng.choice(PROVINCES)
        shop = f"店{number % 4}"
        lines.append(f"T{41_000_000 + number},{shop},{amount},{courier},{province}")
    orders = folder / "taobao-2026-11-22.csv"
    orders.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    lines = ["订单编号,店铺名称,物流公司,收货省份,付款时间,是否投诉"]
    lines += [
        f"T{r['number']},店{r['number'] % 4},{r['courier']},{r['province']},"
        f"{r['day'].replace('/', '-')} 09:30:00,{'Y' if r['is_complaint'] else 'N'}"
        for r in _history(rng, 4_000)
    ]
    history = folder / "history.csv"
    history.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    return [orders, history]


def workbook(folder: Path, num_orders: int = 1_000) -> list[Path]:
    """An Excel file of one shop, numbers as numbers; nothing else."""
    rng = random.Random(3)
    book = openpyxl.Workbook()
    book.active.append(["订单号", "快递", "省份", "实付金额", "件数"])
    for number in range(num_orders):
        row = [500_000 + number, rng.choice(COURIERS), rng.choice(PROVINCES)]
        book.active.append([*row, rng.randint(2_000, 40_000) / 100, 1])
    orders = folder / "订单.xlsx"
    book.save(orders)
    return [orders]


def shopify(folder: Path, num_orders: int = 1_000) -> list[Path]:
    """Names in English, carriers by their short names, a history with premium."""
    rng = random.Random(4)
    short = dict(zip(COURIERS, ("ZTO", "YTO", "Yunda", "SF"), strict=True))
    lines = ["Order Number,Vendor,Total,Shipping Carrier,Shipping Province"]
    for number in range(num_orders):
        courier, province = short[rng.choice(COURIERS)], rng.choice(PROVINCES)
        total = rng.random() * 300
        lines.append(f"#{1001 + number},V{number % 3},{total:.2f},{courier},{province}")
    orders = folder / "orders_export.csv"
    orders.write_text("\n".join(lines), "utf-8")
    lines = [
        "Order Number,Vendor,Shipping Carrier,Shipping Province,Created at,"
        "Delivery Service,Complaint,Returned"
    ]
    for r in _history(rng, 6_000):
        is_premium = rng.random() < 0.3
        is_harmed = r["is_complaint"] and not (is_premium and rng.random() < 0.5)
        lines.append(
            f"#{r['number']},V{r['number'] % 3},{short[r['courier']]},{r['province']},"
            f"{r['day'].replace('/', '-')} 08:00:00 +0800,"
            f"{'Premium home delivery' if is_premium else 'Standard'},"
            f"{'yes' if is_harmed else 'no'},{'yes' if r['is_return'] else 'no'}"
        )
    history = folder / "history.csv"
    history.write_text("\n".join(lines), "utf-8")
    return [orders, history]


def odoo(folder: Path, num_orders: int = 1_000) -> list[Path]:
    """Semicolons, decimal commas and Windows-1252, with capacity of its own."""
    rng = random.Random(5)
    short = ("ZTO", "YTO", "Yunda")
    lines = ["Order Reference;Company;Amount Total;Carrier;State Name;Café"]
    for number in range(num_orders):
        amount = f"{rng.randint(1, 4)}.{rng.randint(100, 999)},{rng.randint(10, 99)}"
        state = rng.choice(("Bayern", "Köln", "Zürich"))
        carrier = rng.choice(short)
        lines.append(f"S{number:05d};C{number % 2};{amount};{carrier};{state};é")
    orders = folder / "sale.order.csv"
    orders.write_bytes("\r\n".join(lines).encode("windows-1252"))
    capacity = folder / "capacity_export.csv"
    capacity.write_text("Carrier;Daily capacity\nZTO;9\nYTO;9\nYunda;9\n", "utf-8")
    return [orders, capacity]


def jd(folder: Path, num_orders: int = 1_000) -> list[Path]:
    """
    JD's own columns in GB18030, those of customers left out where it was exported.

    Three amounts of which one was paid, and two times of an order.
    """
    rng = random.Random(6)
    lines = [
        "订单号,商品ID,商品名称,订购数量,支付方式,下单时间,京东价,订单金额,结算金额,余额支付,"
        "应付金额,订单状态,订单类型,运费金额,付款确认时间,货号,订单来源,承运商,收货省份"
    ]
    for number in range(num_orders):
        price, courier = rng.randint(20, 400), rng.choice((*COURIERS, "京东快递"))
        lines.append(
            f"{264_000_000_000 + number},{10_070_000_000_000 + number % 50},"
            f"商品{number % 50},1,4-在线支付,2026-11-22 09:{number % 60:02d}:11,"
            f"{price}.00,{price}.00,{price}.00,0.00,{price - 5}.00,等待出库,SOP,0.00,"
            f"2026-11-22 09:{number % 60:02d}:40,K{number % 50},移动端订单,{courier},"
            f"{rng.choice(PROVINCES)}"
        )
    orders = folder / "京东订单_2026-11-22.csv"
    orders.write_bytes("\r\n".join(lines).encode("gb18030"))
    lines = ["订单号,付款确认时间,承运商,收货省份,是否投诉,是否物流退货"]
    lines += [
        f"{263_000_000_000 + r['number']},{r['day'].replace('/', '-')} 09:30:00,"
        f"{r['courier']},{r['province']},{'是' if r['is_complaint'] else '否'},"
        f"{'是' if r['is_return'] else '否'}"
        for r in _history(rng, 4_000)
    ]
    history = folder / "京东历史.csv"
    history.write_bytes("\r\n".join(lines).encode("gb18030"))
    return [orders, history]


def woocommerce(folder: Path, num_orders: int = 1_000) -> list[Path]:
    """Advanced Order Export of one shop: two equal numbers, two states, no history."""
    rng = random.Random(7)
    lines = [
        '"Order ID","Order Number","Order Status","Order Date","Customer Note",'
        '"State Code (Billing)","Country Code (Billing)","State Code (Shipping)",'
        '"Country Code (Shipping)","Shipping Method Title","Payment Method Title",'
        '"Cart Discount Amount","Order Subtotal Amount","Order Shipping Amount",'
        '"Order Refund Amount","Order Total Amount","Order Total Tax Amount"'
    ]
    methods = ("ZTO Express", "YTO Express", "Yunda Express", "SF Express")
    for number in range(num_orders):
        total, state = rng.randint(2_000, 40_000) / 100, rng.choice(("CN32", "CN33"))
        lines.append(
            f"{5000 + number},{5000 + number},processing,"
            f"2026-11-22 10:{number % 60:02d},,CN2,CN,{state},CN,"
            f"{rng.choice(methods)},Alipay,0,{total:.2f},0,0,{total:.2f},0"
        )
    orders = folder / "orders-2026-11-22.csv"
    orders.write_text("\n".join(lines), "utf-8")
    return [orders]


SHOPS = (douyin, taobao, jd, workbook, shopify, woocommerce, odoo)
EXPORTS = {f.__name__: f for f in SHOPS}
