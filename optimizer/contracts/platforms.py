"""Each platform's name for door-to-door delivery, and the carriers that it accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Douyin's tag for a recommended order, and the service code of its waybills.
ORDER_TAG = "sug_home_deliver"
SERVICE_CODE = "SVC-WBHOMEDELIVERY"


#: A cell that starts so is a formula to a spreadsheet; the wide forms likewise.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
FORMULA_START = r"^[=+\-@\t\r\n＝＋－＠]"


@dataclass(frozen=True, slots=True)
class Platform:
    """
    A platform's words.

    Attributes
    ----------
    fields
        Values sent with each order: tags, service codes, waybill options.
    carriers
        Carrier id to the platform's code; other carriers cannot be sent.
    """

    fields: Mapping[str, str]
    carriers: Mapping[str, str]

    def code_of(self, carrier_id: str) -> str | None:
        """Give the platform's code of a carrier, or of a code itself; else ``None``."""
        name = carrier_id.casefold()
        if name in self.carriers:
            return self.carriers[name]
        return next((c for c in self.carriers.values() if c.casefold() == name), None)


_FIRST_THREE = {name: name for name in ("zhongtong", "yuantong", "yunda")}

#: Codes are those of the platforms' own interfaces and of order systems that use them.
#: Kuaishou's waybills take the same service code; its roster is not confirmed.
PLATFORMS: Mapping[str, Platform] = {
    "douyin": Platform(
        {"order_tag": ORDER_TAG, "service_code": SERVICE_CODE}, _FIRST_THREE
    ),
    "kuaishou": Platform({"service_code": SERVICE_CODE}, _FIRST_THREE),
    "pinduoduo": Platform(
        {"order_tag": "home_delivery_door"},
        {
            "zhongtong": "ZTO",
            "yuantong": "YTO",
            "shentong": "STO",
            "jtexpress": "jitu",
            "yunda": "YUNDA",
        },
    ),
    "taobao": Platform(
        {"asdp_biz_type": "logistics_upgrade", "asdp_ads": "201"},
        {
            "zhongtong": "ZTO",
            "yuantong": "YTO",
            "shentong": "STO",
            "yunda": "YUNDA",
        },
    ),
    "jd": Platform(
        {"order_tag": "JDWJ_DELIVERY_TO_DOOR", "waybill_option": "DELIVERY_TO_DOOR"},
        {"jd": "JD"},
    ),
}
