"""Why an order was chosen or not, in Chinese: by reason, for merchants to read."""

from __future__ import annotations

#: Sentences by reason; ``NO_ROOM`` where no carrier has a slot at all, ``FORCED`` where
#: a pin or a floor chose it, ``CAP_TAKEN`` where a cap's worth is not known exactly,
#: ``NO_GAIN`` where premium costs exactly what it avoids, ``DRAWN_OUT`` where the
#: explore arm drew it and kept it on standard service, ``COIN_OUT`` and ``COIN_IN``
#: where a coin of the margin arm swapped it, ``OF_DRAWS`` what is added where savings
#: are drawn, ``BUDGET_BELOW_FEE`` where a merchant's
#: budget pays for no parcel, ``SUBSIDY_BELOW_FEE`` where the platform's pays for none.
CHINESE = {
    "CHOSEN": (
        "已入选，承运商 {carrier_id}：扣除计入的服务费后，预计净避免损失 {saving} 元"
        "{margin}"
    ),
    "NO_SAVING": "未入选：送货上门服务的费用比它能避免的损失高 {saving} 元",
    "NO_GAIN": "未入选：送货上门服务的费用与它能避免的损失相等",
    "CAP_ZERO": (
        "未入选：商家当日 {num_orders:,} 单，上限为 {cap} 单；"
        "扣除计入的服务费后，该订单本可净避免损失 {saving} 元"
    ),
    "CAP_FULL": (
        "未入选：商家的 {num_slots} 个名额已给了扣除计入的服务费和承运名额成本后每单"
        "至少可避免 {least} 元的订单；该订单扣除服务费后可净避免 {saving} 元{margin}"
    ),
    "CAP_TAKEN": (
        "未入选：商家的 {num_slots} 个名额已给了{each}；"
        "扣除计入的服务费后，该订单可净避免损失 {saving} 元{margin}"
    ),
    "CAPACITY_FULL": (
        "未入选：承运商在该处的名额已给了{each}；"
        "扣除计入的服务费后，该订单可净避免损失 {saving} 元{margin}"
    ),
    "CAP_AND_CAPACITY": (
        "未入选：商家的 {num_slots} 个名额和承运商在该处的名额都已给了{all}；"
        "扣除计入的服务费后，该订单可净避免损失 {saving} 元{margin}"
    ),
    "NO_ROOM": (
        "未入选：可用的承运商在该处容不下该订单；"
        "扣除计入的服务费后，该订单本可净避免损失 {saving} 元"
    ),
    "SUBSIDY_BELOW_FEE": (
        "未入选：平台的预算低于一件包裹中平台所付的服务费；"
        "扣除计入的服务费后，该订单本可净避免损失 {saving} 元"
    ),
    "BUDGET_BELOW_FEE": (
        "未入选：商家的预算低于一件包裹的服务费；"
        "扣除计入的服务费后，该订单本可净避免损失 {saving} 元"
    ),
    "BUDGET": (
        "未入选：费用预算已给了{each}；"
        "扣除计入的服务费后，该订单可净避免损失 {saving} 元{margin}"
    ),
    "FORCED": (
        "按指定或最低数量要求入选，承运商 {carrier_id}：可节省 {signed} 元，"
        "比证明中其名额的价格少 {surplus} 元"
    ),
    "HELD_OUT": (
        "方案已选中，为衡量送货上门服务的效果而随机保留：维持标准服务；"
        "若由 {carrier_id} 升级，本可净避免损失 {saving} 元（已扣除计入的服务费）"
    ),
    "DRAWN_OUT": (
        "随机抽取（非方案选中），以一半的概率维持标准服务，以衡量送货上门服务的效果；"
        "升级本可节省 {signed} 元{beside}"
    ),
    "EXPLORED": (
        "随机抽取（非方案选中），以一半的概率获得推荐，以衡量送货上门服务的效果，"
        "承运商 {carrier_id}：可节省 {signed} 元{beside}"
    ),
    "COIN_OUT": (
        "方案已选中；为衡量送货上门服务的效果，由公平抛硬币决定维持标准服务，"
        "名额给了方案之外的下一单；若由 {carrier_id} 升级，"
        "本可净避免损失 {saving} 元（已扣除计入的服务费）"
    ),
    "COIN_IN": (
        "方案之外的下一单；为衡量送货上门服务的效果，由公平抛硬币决定代替一件已选中"
        "的订单获得推荐，承运商 {carrier_id}：可节省 {signed} 元"
    ),
    "OF_DRAWS": (
        "；当晚的节省额是按对送货上门服务效果的已知与未知抽取的一次结果，"
        "该订单获得升级的概率为 {chance}"
    ),
    "INELIGIBLE": "未参与：该订单或其商家不符合条件",
    "CARRIER_INACTIVE": "未参与：当日没有任何可用承运商提供该服务",
    "NO_OPTION": "未参与：可选承运商表中没有该订单",
    "NOT_DELIVERABLE": "未参与：没有平台能接收该订单（承运商或编号不被接受）",
    "PINNED_OUT": "未参与：该订单被指定为不升级",
}
