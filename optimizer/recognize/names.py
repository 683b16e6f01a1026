"""How exports name our columns: platforms, shops and ERP systems, by column."""

from __future__ import annotations

import re
import unicodedata

#: Names of columns of orders and of outcomes, the surest first: of Douyin, Taobao, JD,
#: Pinduoduo, Shopify, WooCommerce and Odoo, and what people call them.
ORDER_NAMES = {
    "order_id": (
        *(
            "order_id",
            "订单编号",
            "订单号",
            "主订单编号",
            "订单id",
            "子订单编号",
            "运单号",
        ),
        *("order number", "order no", "order ref", "order reference", "order", "tid"),
        *(
            "oid",
            "order sn",
            "订单sn",
            "交易编号",
            "系统单号",
            "平台单号",
            "id",
            "name",
        ),
    ),
    "merchant_id": (
        *(
            "merchant_id",
            "商家id",
            "商户id",
            "店铺id",
            "商家编号",
            "店铺编号",
            "商家编码",
        ),
        *(
            "店铺",
            "店铺名称",
            "商家",
            "商家名称",
            "商户",
            "merchant",
            "shop id",
            "shop",
        ),
        *("store id", "store", "seller id", "seller", "vendor id", "vendor", "company"),
    ),
    "carrier_id": (
        *(
            "carrier_id",
            "快递公司",
            "物流公司",
            "承运商",
            "快递公司编码",
            "物流公司编码",
        ),
        *("快递", "物流商", "carrier", "carrier code", "courier", "shipping carrier"),
        *(
            "logistics company",
            "express company",
            "shipping method",
            "delivery carrier",
        ),
        *("shipping provider", "tracking company", "shipping method title"),
    ),
    "region_id": (
        *(
            "region_id",
            "收货省份",
            "省份",
            "收货省",
            "省",
            "目的省",
            "目的省份",
            "收件省份",
        ),
        *("province", "shipping province", "region", "shipping state", "state"),
        *("ship to state", "shipping region", "delivery region", "destination"),
        *("state name", "state name shipping", "state code shipping"),
        *("delivery address state", "delivery address state name"),
        *("收货城市", "城市", "shipping city", "city", "city shipping"),
    ),
    "outlet_id": ("outlet_id", "网点", "网点编号", "末端网点", "派件网点", "outlet"),
    "category_id": (
        *("category_id", "类目", "商品类目", "品类", "一级类目", "category"),
        *("product category", "product type", "lineitem category"),
    ),
    "order_value_cny": (
        *(
            "order_value_cny",
            "实付金额",
            "买家实付",
            "买家实付金额",
            "买家实际支付金额",
            "应付金额",
            "订单应付金额",
            "支付金额",
        ),
        *(
            "订单金额",
            "实收金额",
            "订单实付金额",
            "订单支付金额",
            "订单总额",
            "订单总价",
            "金额",
            "总价",
            "amount paid",
            "paid amount",
            "total",
        ),
        *("order total", "amount", "amount total", "grand total", "total price"),
        *("order total amount",),
        *("net sales", "untaxed amount"),
    ),
    "complaint_prob_standard": ("complaint_prob_standard", "投诉率", "投诉概率"),
    "complaint_prob_premium": ("complaint_prob_premium", "音尊达投诉率"),
    "return_prob_standard": (
        "return_prob_standard",
        "物流退货率",
        "退货率",
        "退货概率",
    ),
    "return_prob_premium": ("return_prob_premium", "音尊达退货率"),
    "is_eligible": ("is_eligible", "是否可上门", "可上门", "eligible"),
    "load": ("load", "件数", "包裹数"),
}
OUTCOME_NAMES = ORDER_NAMES | {
    "date": (
        *("date", "日期", "业务日期", "发货时间", "发货日期", "支付时间", "付款时间"),
        *(
            "付款确认时间",
            "下单时间",
            "下单日期",
            "付款日期",
            "支付日期",
            "订单日期",
            "订单创建时间",
            "订单提交时间",
            "创建时间",
            "order date",
        ),
        *(
            "订单付款时间",
            "订单支付时间",
            "订单发货时间",
            "订单下单时间",
            "成交时间",
            "订单成交时间",
        ),
        *(
            "date order",
            "shipped at",
            "paid at",
            "created at",
            "date created",
            "created",
        ),
    ),
    "is_premium": (
        *("is_premium", "音尊达", "是否音尊达", "送货上门", "是否上门", "配送服务"),
        *(
            "物流服务",
            "增值服务",
            "premium",
            "service",
            "delivery service",
            "service code",
            "是否送货上门",
        ),
    ),
    "complaint": (
        *("complaint", "是否投诉", "投诉", "物流投诉", "has complaint", "complained"),
        *("is complaint", "complaints"),
    ),
    "logistics_return": (
        *("logistics_return", "是否物流退货", "物流退货", "物流原因退货", "是否退货"),
        *("logistics return", "returned", "is returned", "return"),
    ),
    "propensity": ("propensity",),
    "observed_until": (
        "observed_until",
        "统计截止日期",
        "数据截止日期",
        "observed until",
    ),
    "complaint_date": (
        *("complaint_date", "投诉日期", "投诉时间", "complaint date", "complained at"),
    ),
    "return_date": (
        "return_date",
        "退货日期",
        "退货时间",
        "return date",
        "returned at",
    ),
    "delivered_to_door": ("delivered_to_door", "送达方式", "是否送货上门"),
}
CAPACITY_NAMES = {
    "carrier_id": ORDER_NAMES["carrier_id"],
    "region_id": ORDER_NAMES["region_id"],
    "outlet_id": ORDER_NAMES["outlet_id"],
    "slots": (
        *(
            "slots",
            "上门件量",
            "件量上限",
            "日上限",
            "上限",
            "容量",
            "日件量",
            "capacity",
        ),
        *("daily capacity", "limit", "max parcels"),
    ),
}
MERCHANT_NAMES = {
    "merchant_id": ORDER_NAMES["merchant_id"],
    "num_orders": ("num_orders", "订单数", "日单量", "orders", "order count"),
    "take_up": ("take_up", "采纳率"),
    "is_enrolled": ("is_enrolled", "是否开通", "是否参加", "enrolled"),
    "daily_budget_cny": ("daily_budget_cny", "日预算", "daily budget"),
}


def plain(name: str) -> str:
    """
    A column's name without what differs between spellings.

    Examples
    --------
    >>> plain(" Order_ID "), plain("订单编号（必填）"), plain("State Code (Shipping)")
    ('orderid', '订单编号', 'statecodeshipping')
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    text = re.sub(r"\((shipping|billing)\)", r"\1", text)
    text = re.sub(r"[(\[【].*?[)\]】]", "", text)
    return re.sub(r"[\s_\-./:*#'\"]", "", text)
