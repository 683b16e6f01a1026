"""Every text of the report, in English and in Chinese."""

from optimizer.insight.report.words_compared import WORDS_COMPARED

#: English and Chinese by key; ``{...}`` is filled with numbers and names.
WORDS: dict[str, tuple[str, str]] = WORDS_COMPARED | {
    "report": ("Premium delivery, report of the night", "送货上门优选 · 每晚报告"),
    "title": ("Premium delivery", "送货上门优选"),
    "cny": ("{amount} CNY", "{amount} 元"),
    # The night at a glance
    "saving": ("Expected harm avoided", "预计避免的损失"),
    "saving_note": (
        "Complaints and logistics returns that are expected not to happen, with "
        "{share} of the fee taken off.",
        "预计不会发生的投诉和物流退货所对应的损失，已扣除服务费的 {share}。",
    ),
    "proved": ("Proved: the best plan there is", "已证明：这是最优方案"),
    "proved_note": (
        "No plan that keeps all limits can avoid more than {bound}, and this one "
        "avoids {value}. The gap between the two is {gap}: there is no better plan.",
        "在遵守所有限制的前提下，任何方案最多只能避免 {bound} 的损失，本方案避免了 "
        "{value}。两者之差为 {gap}，已没有改进余地。",
    ),
    "near": ("Proved: nearly the best plan", "已证明：接近最优"),
    "near_note": (
        "No plan that keeps all limits can avoid more than {bound}, and this one "
        "avoids {value}. At most {gap} ({share}) could still be gained.",
        "在遵守所有限制的前提下，任何方案最多只能避免 {bound} 的损失，本方案避免了 "
        "{value}。最多还能再提高 {gap}（{share}）。",
    ),
    "broken": ("Not proved: do not use this plan", "未通过证明：请勿使用本方案"),
    "broken_note": (
        "The plan breaks a limit, or its bound contradicts it.",
        "方案违反了某项限制，或其上界与方案矛盾。",
    ),
    "chosen": ("Parcels recommended", "推荐的包裹"),
    "chosen_note": ("of {total} parcels of the day", "当日共 {total} 件包裹"),
    "fees": ("Fees, if all are bought", "服务费（假设全部购买）"),
    "merchant": ("merchant", "商家"),
    "platform": ("platform", "平台"),
    "consumer": ("consumer", "消费者"),
    "recipient": ("recipient", "收件人"),
    "pays": ("{who} pays {amount}", "{who}承担 {amount}"),
    "compensation": ("Compensation, at most", "最高赔付总额"),
    "compensation_note": (
        "to the {who}, if every promise were broken",
        "若全部承诺都未兑现，赔付给{who}",
    ),
    "slots_in_all": ("Slots under all caps", "商家名额总数"),
    "slots_in_all_note": (
        "{with_slots} of {total} merchants have a slot",
        "{total} 个商家中有 {with_slots} 个拥有名额",
    ),
    # Warnings
    "warnings": ("Warnings", "提醒"),
    "no_warnings": (
        "None. Nothing about this night asks for a second look.",
        "无。本晚没有需要复核的事项。",
    ),
    "more_warnings": (
        "These are {shown} of {total} warnings; run.json has all.",
        "此处列出 {total} 条提醒中的 {shown} 条；全部见 run.json。",
    ),
    # Reasons
    "reasons": ("Why parcels were chosen, or not", "包裹入选或未入选的原因"),
    "reasons_note": (
        "Every parcel has exactly one reason.",
        "每件包裹有且只有一个原因。",
    ),
    "reason_bar": (
        "{reason}: {number} of {total} parcels",
        "{reason}：{total} 件包裹中的 {number} 件",
    ),
    "bar_note": (
        "The bar's length compares this number with the largest one in the list.",
        "条形长度表示该数字与列表中最大数字之比。",
    ),
    "no_parcels": (
        "No parcel had these reasons: {names}.",
        "没有包裹属于以下原因：{names}。",
    ),
    "no_orders": ("There were no parcels this night.", "本晚没有包裹。"),
    "CHOSEN": ("Recommended", "已推荐"),
    "CHOSEN_why": (
        "These parcels are recommended for premium delivery.",
        "这些包裹被推荐使用送货上门服务。",
    ),
    "NO_SAVING": ("Not worth the fee", "不划算"),
    "NO_SAVING_why": (
        "Premium delivery would cost more than the harm that it avoids.",
        "送货上门的费用高于所能避免的损失。",
    ),
    "CAP_ZERO": ("Merchant has no slot", "商家没有名额"),
    "CAP_ZERO_why": (
        "The merchant's cap is 0 parcels: its share rounds down to none, or is set so.",
        "商家的上限为 0 件：按比例向下取整后为 0，或设定为 0。",
    ),
    "CAP_FULL": ("Merchant's slots are taken", "商家名额已用完"),
    "CAP_FULL_why": (
        "The merchant's slots went to parcels that avoid more harm.",
        "商家的名额给了能避免更多损失的包裹。",
    ),
    "CAPACITY_FULL": ("Carrier's slots are taken", "承运商运力已用完"),
    "CAPACITY_FULL_why": (
        "The carrier's slots there went to parcels that avoid more harm.",
        "当地承运商的运力给了能避免更多损失的包裹。",
    ),
    "CAP_AND_CAPACITY": ("Cap and capacity together", "名额与运力共同限制"),
    "CAP_AND_CAPACITY_why": (
        "Merchant's cap and carrier's slots both stand in the way, or either would.",
        "商家上限与承运商运力同时限制，或任意一项都足以限制。",
    ),
    "INELIGIBLE": ("Not eligible", "不符合条件"),
    "INELIGIBLE_why": (
        "The platform flagged the parcel, or its merchant does not take part.",
        "平台标记了该包裹，或商家未参与。",
    ),
    "CARRIER_INACTIVE": ("No carrier offers it", "没有承运商提供服务"),
    "CARRIER_INACTIVE_why": (
        "None of the parcel's carriers is in the policy's roster on this date.",
        "当日政策名单中没有该包裹的任何承运商。",
    ),
    "PINNED_OUT": ("Kept out by hand", "人工排除"),
    "PINNED_OUT_why": (
        'The parcel is pinned to "never".',
        "该包裹被标记为“never”（永不推荐）。",
    ),
    "BUDGET": ("Budget is used up", "预算已用完"),
    "BUDGET_why": (
        "A budget for fees, the merchant's or the platform's, went to other parcels.",
        "商家或平台的服务费预算已用于其他包裹。",
    ),
    "HELD_OUT": ("Kept back at random", "随机保留"),
    "HELD_OUT_why": (
        "Left on standard service by lot, so that the effect can be measured.",
        "随机保持标准服务，以便衡量效果。",
    ),
    "EXPLORED": ("Recommended at random", "随机推荐"),
    "EXPLORED_why": (
        "Recommended by lot, so that the effect can be measured.",
        "随机推荐，以便衡量效果。",
    ),
    "other_why": ("See the decisions table.", "详见 decisions 表。"),
    # Capacity
    "capacity": ("Carriers' capacity", "承运商运力"),
    "capacity_note": (
        "How many slots each carrier has, how many the plan uses, and what one more "
        "would bring: in the carrier's own row alone, and in its dearest row together "
        "with all rows around that.",
        "各承运商的运力、方案使用量，以及再增加一个名额可多避免的损失：仅在承运商自身"
        "一行增加，或在其最紧缺的一行及其所有上级行同时增加。",
    ),
    "capacity_note_by_prices": (
        "How many slots each carrier has, how many the plan uses, and the price in the "
        "proof of a slot in its dearest row: about what one more would bring.",
        "各承运商的运力、方案使用量，以及证明中其最紧缺一行的名额价格：约为再增加一个"
        "名额可多避免的损失。",
    ),
    "no_lanes": ("There are no lanes this night.", "本晚没有运力线路。"),
    "used_of": ("{used} of {slots} slots used", "已用 {used} / {slots} 个名额"),
    "carrier_bar_note": (
        "The pale bar compares the carrier's slots with the largest carrier's; its "
        "dark part is used.",
        "浅色条表示该承运商与最大承运商的运力之比，深色部分为已使用。",
    ),
    "one_more": (
        "one more slot: {alone} in its own row alone, up to {around} in a row inside "
        "and all around it",
        "再增加一个名额：仅自身一行 {alone}；在其下某行及所有上级行同时增加最多 "
        "{around}",
    ),
    "in_sum": (
        "sum of its rows; one more slot: up to {around} in one of them and all around "
        "it",
        "各行合计；在某行及其所有上级行同时增加一个名额最多 {around}",
    ),
    "proof_price": (
        "the proof's price in its dearest row: {price}",
        "证明中其最紧缺一行的价格：{price}",
    ),
    "more_carriers": (
        "These are the {shown} carriers with most slots, of {total}; lanes.parquet "
        "has all.",
        "此处列出运力最多的 {shown} 家承运商（共 {total} 家）；全部见 lanes.parquet。",
    ),
    "regions": ("By region", "按地区"),
    "regions_note": (
        "Slots used / slots there are. The shade, and the amount where there is one, "
        "is what one more slot would bring in the dearest row there and in all rows "
        "around that, in CNY.",
        "已用名额 / 总名额。底色深浅及其金额（如有）为当地最紧缺的一行及其所有上级行"
        "各增加一个名额可多避免的损失（元）。",
    ),
    "regions_note_by_prices": (
        "Slots used / slots there are. The shade, and the amount where there is one, "
        "is the proof's price of a slot in the dearest row there, in CNY.",
        "已用名额 / 总名额。底色深浅及其金额（如有）为证明中当地最紧缺一行的名额价格"
        "（元）。",
    ),
    "regions_caption": ("Regions {first} to {last}", "地区 {first} 至 {last}"),
    "more_regions": (
        "These are the {shown} regions with most slots, of {total}; lanes.parquet "
        "has all.",
        "此处列出名额最多的 {shown} 个地区（共 {total} 个）；全部见 lanes.parquet。",
    ),
    "more_columns": (
        "The columns are the {shown} carriers with most slots, of {total}.",
        "各列为运力最多的 {shown} 家承运商（共 {total} 家）。",
    ),
    "legend": (
        "One more slot there and around brings",
        "当地及上级行各增一个名额可带来",
    ),
    "legend_by_prices": ("The proof's price of a slot", "证明中的名额价格"),
    "legend_most": ("up to {price}", "最高 {price}"),
    "nothing": ("nothing", "无"),
    "region": ("Region", "地区"),
    "no_row": ("no row", "无数据行"),
    # The value of more
    "more": ("What one more slot would bring", "再增加一个名额可带来的改善"),
    "more_by_prices": ("Prices of slots in the proof", "证明中的名额价格"),
    "more_note": (
        "What the night would avoid in all if there were one more, with the plan moved "
        "to make the best of it, exactly: in a row alone, in a row and in all rows "
        "around it, in a merchant's cap.",
        "若再多一个名额并重新安排方案，当晚可多避免的损失（精确值）：仅在某一行、在某一行"
        "及其所有上级行，或在某商家的上限。",
    ),
    "top_lanes": ("Lanes where a slot is worth most", "名额价值最高的线路"),
    "top_merchants": ("Merchants where a slot is worth most", "名额价值最高的商家"),
    "top_of": ("{shown} of {total}", "{total} 中的 {shown} 项"),
    "lane": ("Lane", "线路"),
    "all_regions": ("all regions", "全部地区"),
    "all_outlets": ("all outlets", "全部网点"),
    "used_slots": ("Used / slots", "已用 / 名额"),
    "used_cap": ("Used / cap", "已用 / 上限"),
    "price": ("Price in the proof, CNY", "证明中的价格（元）"),
    "around": ("One more there and around, CNY", "此行及上级行各加一个（元）"),
    "alone": ("One more there alone, CNY", "仅此行加一个（元）"),
    "one_more_head": ("One more brings, CNY", "再加一个可带来（元）"),
    "merchant_head": ("Merchant", "商家"),
    "parcels": ("parcels: {number}", "包裹：{number}"),
    "no_priced_lanes": (
        "One more slot would bring nothing anywhere.",
        "任何线路再增加一个名额都不会带来改善。",
    ),
    "no_priced_merchants": (
        "One more in a cap would bring nothing anywhere.",
        "任何商家的上限再增加一个都不会带来改善。",
    ),
    # Merchants
    "merchants": ("Merchants with and without slots", "有名额与无名额的商家"),
    "merchants_bar": (
        "{with_slots} merchants have slots, {without} have none",
        "{with_slots} 个商家有名额，{without} 个没有",
    ),
    "merchants_bar_note": (
        "The bar's dark part is the share of merchants that have at least one slot.",
        "深色部分为至少拥有一个名额的商家占比。",
    ),
    "with_slots": ("with slots", "有名额"),
    "with_slots_note": (
        "They share {slots} slots, and the plan uses {used}.",
        "共有 {slots} 个名额，方案使用 {used} 个。",
    ),
    "without_slots": ("without a slot", "没有名额"),
    "without_slots_note": (
        "Their cap is 0. For {waiting} of them, a first slot would avoid harm tonight.",
        "其上限为 0。其中 {waiting} 个商家若有第一个名额，今晚即可避免损失。",
    ),
    # Further limits
    "limits": ("Further limits", "其他限制"),
    "packing_note": (
        "Parcels of several slots, rows that do not nest, floors or pins make this a "
        "packing problem: the proof says how far the plan can be from the best.",
        "包裹占用多个名额、运力行交叉、最低数量或指定包裹使本晚成为装箱问题："
        "证明给出方案与最优方案的最大差距。",
    ),
    "count_expected": (
        "Slots hold the purchases that are expected of the recommendations.",
        "名额按推荐的预期购买数计算。",
    ),
    "count_quantile": (
        "Slots hold the purchases in the share of nights that the configuration asks "
        "for.",
        "名额按配置要求的概率下的购买数计算。",
    ),
    "limit": ("Limit", "限制"),
    "kind": ("Kind", "类型"),
    "at_least": ("At least", "至少"),
    "at_most": ("At most", "至多"),
    "used": ("Used", "已用"),
    "kind_capacity": ("capacity", "运力"),
    "kind_min_parcels": ("least number", "最低数量"),
    "kind_fairness": ("fairness", "公平性"),
    "kind_owner_cap": ("owner's cap", "所有者上限"),
    "kind_subsidy": ("subsidy", "补贴"),
    "kind_pin": ("pin", "指定包裹"),
    "conflicts": ("Not kept", "未能满足"),
    "conflicts_note": (
        "These cannot be kept together with what has a lower priority number. The "
        "proof is about plans that break none of them more than this one.",
        "这些要求与优先级数字更小的要求无法同时满足。证明针对违反程度不超过本方案的"
        "所有方案。",
    ),
    "asked": ("Asked", "要求"),
    "reached": ("Reached", "达到"),
    "priority": ("Priority", "优先级"),
    # Refused rows
    "quarantine": ("Refused rows", "被拒绝的数据行"),
    "quarantine_note": (
        "Orders in broken rows get no decision. Orders left out: {number}. Values are "
        "never copied here.",
        "损坏行中的订单不参与决策。被排除的订单：{number}。此处从不复制其数值。",
    ),
    "quarantine_caption": ("Rows by broken rule", "按违反的规则统计"),
    "no_quarantine": (
        "None. Every row of every input keeps the rules.",
        "无。所有输入的每一行都符合规则。",
    ),
    "table": ("Table", "表"),
    "column": ("Column", "列"),
    "rule": ("Rule", "规则"),
    "rows": ("Rows", "行数"),
    "more_rules": (
        "These are the {shown} most frequent of {total}; quarantine.parquet has all.",
        "此处列出最常见的 {shown} 项（共 {total} 项）；全部见 quarantine.parquet。",
    ),
    # What the night was made from
    "origin": ("What this night was made from", "本晚的数据与规则来源"),
    "inputs": ("Inputs", "输入"),
    "inputs_caption": (
        "Files that went in, with their checksums",
        "输入文件及其校验和",
    ),
    "file": ("File", "文件"),
    "checksum": ("SHA-256, first 12", "SHA-256 前 12 位"),
    "more_files": ("and {number} more files", "另有 {number} 个文件"),
    "policy": ("Rules in force", "生效规则"),
    "valid_from": ("In force since", "生效日期"),
    "cap": ("Cap", "商家上限"),
    "cap_all_orders": (
        "{rate} of a merchant's parcels of the day, rounded down",
        "商家当日全部包裹的 {rate}，向下取整",
    ),
    "cap_eligible_orders": (
        "{rate} of a merchant's eligible parcels of the day, rounded down",
        "商家当日符合条件包裹的 {rate}，向下取整",
    ),
    "fee": ("Fee", "服务费"),
    "fee_note": ("{amount} for one parcel", "每件 {amount}"),
    "fee_share": ("Fee that counts", "计入的服务费"),
    "fee_share_note": (
        "{share} of it is taken off what a parcel avoids",
        "其 {share} 从避免的损失中扣除",
    ),
    "bears": ("{who} {share}", "{who} {share}"),
    "broken_promise": ("Broken promise", "未兑现承诺"),
    "broken_promise_note": (
        "the carrier pays {amount} to the {who}",
        "承运商向{who}赔付 {amount}",
    ),
    "roster": ("Carriers", "承运商"),
    "more_names": ("and {number} more", "另有 {number} 个"),
    "harm": ("Cost of harm", "损失成本"),
    "harm_note": (
        "{complaint} for a complaint, {returned} for a return",
        "每次投诉 {complaint}，每次退货 {returned}",
    ),
    "program": ("Program", "程序"),
    "version": ("Version", "版本"),
    "config": ("Configuration", "配置"),
    "termination": ("Solver", "求解器"),
    "OPTIMAL": ("ran to the end", "运行完成"),
    "TIME": ("stopped by the time limit", "因时间限制而停止"),
    "GAP": ("stopped at the gap asked for", "达到要求的差距后停止"),
    "METHOD": ("used a method that proves no optimum", "所用方法不证明最优性"),
    "NO_SOLUTION_FOUND": ("found no plan", "未找到方案"),
    "libraries": ("Libraries", "依赖库"),
    "footer": (
        "Every number here stands in figures.parquet, beside this file.",
        "此处所有数字均见同一文件夹中的 figures.parquet。",
    ),
    "verify": ("To prove this night again:", "重新证明本晚方案："),
    "explain": ("To ask about one order:", "查询某个订单："),
    "sep": (", ", "、"),
}
