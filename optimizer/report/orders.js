"use strict";
(() => {
  const data = JSON.parse(document.getElementById("orders-data").textContent);
  const texts = { order_id: data.order_id };
  const words = {}, codes = {};
  for (const name of ["merchant_id", "carrier_id", "region_id", "reason"]) {
    words[name] = data[name].words.map((word) => word === null ? "" : word);
    codes[name] = data[name].codes;
  }
  const amounts = { saving_cny: data.saving_cny, margin_cny: data.margin_cny };
  const total = data.order_id.length;
  const lower = new Map();
  const lowered = (name, list) => {
    if (!lower.has(name)) lower.set(name, list.map((text) => text.toLowerCase()));
    return lower.get(name);
  };
  const textOf = (name, row) => name in words ? words[name][codes[name][row]] : texts[name][row];

  const count = (number) => number.toLocaleString("en");
  const twoDigits = { minimumFractionDigits: 2, maximumFractionDigits: 2, roundingMode: "halfEven" };
  const money = (micro) => {
    if (micro === null) return "–";
    return micro > 0 && micro < 5000 ? "< 0.01" : (micro / 1e6).toLocaleString("en", twoDigits).replace("-", "−");
  };
  const shown = (text) => {
    const marks = [...text].map((mark) => /[\u0000-\u001f\u007f-\u009f]/.test(mark) ? "\ufffd" : mark);
    return marks.length > 80 ? marks.slice(0, 79).join("") + "…" : marks.join("");
  };
  const turns = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  const asked = { order_id: "", merchant_id: "", carrier_id: "", region_id: "", reason: "", least: "" };
  let sorted = { name: "saving_cny", turned: true };
  let page = 0, found = [];

  const sort = (rows) => {
    const { name, turned } = sorted, sign = turned ? -1 : 1;
    const value = name in words ? (row) => codes[name][row]
      : name in amounts ? (row) => amounts[name][row] : (row) => texts[name][row];
    rows.sort((a, b) => {
      const one = value(a), other = value(b);
      if (one === other) return a - b;
      if (one === null) return 1;
      if (other === null) return -1;
      return one < other ? -sign : sign;
    });
    return rows;
  };
  const search = () => {
    const tests = [];
    for (const name of ["order_id", "merchant_id"]) {
      const part = asked[name].trim().toLowerCase();
      if (!part) continue;
      if (name in words) {
        const fits = lowered(name, words[name]).map((text) => text.includes(part));
        tests.push((row) => fits[codes[name][row]]);
      } else {
        const list = lowered(name, texts[name]);
        tests.push((row) => list[row].includes(part));
      }
    }
    for (const name of ["carrier_id", "region_id", "reason"]) {
      if (asked[name] === "") continue;
      const code = Number(asked[name]);
      tests.push((row) => codes[name][row] === code);
    }
    const least = parseFloat(asked.least);
    if (!Number.isNaN(least)) {
      const micro = Math.round(least * 1e6);
      tests.push((row) => amounts.saving_cny[row] >= micro);
    }
    const rows = [];
    for (let row = 0; row < total; row += 1) if (tests.every((test) => test(row))) rows.push(row);
    found = sort(rows);
    page = 0;
    draw();
  };

  const views = [...document.querySelectorAll(".orders")].map((section) => {
    const table = section.querySelector("table");
    return {
      section, table, body: table.tBodies[0], heads: [...table.tHead.rows[0].cells],
      size: Number(section.dataset.rows), language: section.closest("article").lang,
      status: section.querySelector(".shown"),
      fields: [...section.querySelectorAll("[data-filter]")],
      steps: [...section.querySelectorAll("[data-step]")],
      save: section.querySelector("[data-save]"),
      reasons: [...section.querySelectorAll('[data-filter="reason"] option')].slice(1).map((option) => option.text),
    };
  });

  const cell = (tag, name, row, view) => {
    const made = document.createElement(tag);
    if (tag === "th") made.scope = "row";
    made.setAttribute("role", tag === "th" ? "rowheader" : "cell");
    made.className = view.heads.find((head) => head.dataset.column === name).className;
    if (name in amounts) {
      made.textContent = money(amounts[name][row]);
    } else if (name === "reason") {
      made.textContent = view.reasons[codes.reason[row]];
    } else {
      const alone = document.createElement("bdi");
      alone.textContent = shown(textOf(name, row));
      made.append(alone);
    }
    return made;
  };
  const draw = () => {
    for (const view of views) {
      const first = page * view.size, last = Math.min(first + view.size, found.length);
      view.body.replaceChildren(...found.slice(first, last).map((row) => {
        const line = document.createElement("tr");
        line.setAttribute("role", "row");
        view.heads.forEach((head, place) => {
          line.append(cell(place ? "td" : "th", head.dataset.column, row, view));
        });
        return line;
      }));
      const values = { first: count(found.length ? first + 1 : 0), last: count(last), total: count(found.length) };
      view.status.textContent = found.length ? fill(view.section.dataset.range, values) : view.section.dataset.none;
      view.save.textContent = fill(view.section.dataset.download, values);
      for (const step of view.steps) {
        const to = page + Number(step.dataset.step);
        step.setAttribute("aria-disabled", String(to < 0 || to * view.size >= found.length));
      }
      for (const head of view.heads) {
        const turned = sorted.turned ? "descending" : "ascending";
        head.setAttribute("aria-sort", head.dataset.column === sorted.name ? turned : "none");
      }
      for (const field of view.fields) {
        if (field.value !== asked[field.dataset.filter]) field.value = asked[field.dataset.filter];
      }
    }
  };

  const escaped = (text, starts) => {
    const safe = text && starts.includes(text[0]) ? "'" + text : text;
    return /[",\r\n]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
  };
  const save = (view) => {
    const names = view.heads.map((head) => head.dataset.column);
    const starts = view.section.dataset.formulas;
    const lines = found.map((row) => names.map((name) => {
      if (!(name in amounts)) return escaped(textOf(name, row), starts);
      const micro = amounts[name][row];
      return micro === null ? "" : String(micro / 1e6);
    }).join(","));
    const text = "\ufeff" + [names.join(","), ...lines].join("\r\n") + "\r\n";
    const link = document.createElement("a");
    const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.href = address;
    link.download = view.section.dataset.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };

  for (const view of views) {
    for (const head of view.heads) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const name = head.dataset.column;
        const turned = sorted.name === name ? !sorted.turned : name in amounts;
        sorted = { name, turned };
        sort(found);
        page = 0;
        draw();
      });
    }
    for (const field of view.fields) {
      const name = field.dataset.filter;
      if (field.tagName === "SELECT" && name !== "reason") {
        words[name].forEach((word, code) => {
          const option = document.createElement("option");
          option.value = String(code);
          option.textContent = shown(word).replace(turns, "") || "–";
          field.append(option);
        });
      }
      field.addEventListener(field.tagName === "SELECT" ? "change" : "input", () => {
        asked[name] = field.value;
        search();
      });
    }
    for (const step of view.steps) {
      step.addEventListener("click", () => {
        if (step.getAttribute("aria-disabled") === "true") return;
        page += Number(step.dataset.step);
        draw();
      });
    }
    view.save.addEventListener("click", () => save(view));
    for (const part of view.section.querySelectorAll("[data-script]")) part.hidden = false;
    for (const part of view.section.querySelectorAll("[data-without]")) part.hidden = true;
  }
  search();
})();
