"""Texts of the report about other nights and about chance, in both languages."""

#: English and Chinese by key; ``{...}`` is filled with numbers and names.
WORDS_COMPARED: dict[str, tuple[str, str]] = {
    "compared": ("Compared with the week before", "与前一周相比"),
    "compared_note": (
        "Each night as it was when this one was published. Parcels differ from night "
        "to night, so a change here says little about the plan.",
        "各晚数据以本晚发布时为准。每晚包裹不同，因此变化并不说明方案优劣。",
    ),
    "no_nights": (
        "No night of the seven days before is published here to compare with.",
        "此处没有前七天已发布的夜晚可供比较。",
    ),
    "harm_avoided": ("Harm avoided", "避免的损失"),
    "for_each": ("Harm avoided for each parcel chosen", "每件入选包裹避免的损失"),
    "parcels_chosen": ("Parcels chosen", "入选包裹"),
    "caps_used": ("Share of slots under caps used", "商家名额使用率"),
    "against": (
        "{before} on {day}; mean of {number} earlier nights {mean}",
        "{day}为 {before}；此前 {number} 晚平均 {mean}",
    ),
    "no_change": ("nothing to compare", "无可比较"),
    "night_row": (
        "{chosen} of {total} parcels chosen, {each} each; {share} of slots under caps "
        "used; gap {gap}",
        "{total} 件中入选 {chosen} 件，每件 {each}；商家名额使用 {share}；差距 {gap}",
    ),
    "night_bar": ("{day}: {amount} avoided", "{day}：避免 {amount}"),
    "nights_note": (
        "The bar's length compares this night with the one that avoided most.",
        "条形长度表示该晚与避免损失最多的一晚之比。",
    ),
    "this_night": ("this night", "本晚"),
    # What is left to chance
    "by_lot_note": (
        "Counted as it is carried out: {kept} of the proved plan are kept back by lot, "
        "and parcels recommended by lot add {explored}.",
        "按实际执行计算：已证明方案中有 {kept} 因随机保留而未执行，随机推荐的包裹带来 "
        "{explored}。",
    ),
    "chance": ("What was left to chance", "随机试验"),
    "chance_note": (
        "So that what premium delivery does can be measured, some parcels are decided "
        "by lot. The proof is of the whole plan, parcels that are kept back included.",
        "为衡量送货上门的实际效果，部分包裹由随机决定。证明针对完整方案，包括被保留的包裹。",
    ),
    "kept_back": ("Chosen, and kept back", "入选但被保留"),
    "kept_back_note": ("this costs {amount}", "代价 {amount}"),
    "explored": ("Recommended by lot", "随机推荐"),
    "explored_note": (
        "this costs at most {amount}; {others} more drew standard service",
        "代价最多 {amount}；另有 {others} 件抽中标准服务",
    ),
    # Packing nights
    "penalties_note": (
        "Floors that are not reached cost {amount} in penalties; these are not taken "
        "off the harm avoided above.",
        "未达到的最低数量产生罚金 {amount}，上方的避免损失未扣除该金额。",
    ),
    "more_note_by_prices": (
        "These are the prices of the proof. With further limits one more slot brings "
        "at most its price and the gap together.",
        "以下为证明中的价格。存在其他限制时，再增加一个名额最多可带来其价格与差距之和。",
    ),
}
