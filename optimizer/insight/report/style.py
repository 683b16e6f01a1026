"""How the report looks: calm, one accent, light and dark, from phone to paper."""

STYLE = """\
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #1a1d21; --soft: #59616b;
  --line: #e4e5e2; --pale: #d9dddb; --accent: #12665f; --on-accent: #ffffff;
  --shade1: #e3efed; --shade2: #c6e0dc; --shade3: #a3cdc7; --shade4: #7cb8b0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121415; --card: #1a1d1f; --ink: #e9ebec; --soft: #a3abb3;
    --line: #2c3134; --pale: #3b4246; --accent: #6cc9bf; --on-accent: #0d1f1d;
    --shade1: #1d2d2d; --shade2: #1f3f3d; --shade3: #23524f; --shade4: #276762;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
    "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC",
    sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
main { max-width: 70rem; margin: 0 auto; padding: 3.5rem 2rem 4rem; }
p, ul, h1, h2, h3, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }

input[name="language"] {
  position: absolute; top: 0; inset-inline-end: 0; width: 1px; height: 1px;
  opacity: 0; overflow: hidden;
}
.switch {
  position: absolute; top: 3.4rem; left: 50%; width: 100%; max-width: 70rem;
  transform: translateX(-50%); padding: 0 2rem; display: flex; gap: .25rem;
  justify-content: flex-end; pointer-events: none;
}
.switch label {
  pointer-events: auto; cursor: pointer; padding: .3rem .85rem; font-size: .875rem;
  border-radius: 99px; color: var(--soft); border: 1px solid transparent;
}
.switch label:hover { color: var(--ink); }
#show-en:checked ~ .switch label[for="show-en"],
#show-zh-CN:checked ~ .switch label[for="show-zh-CN"] {
  color: var(--ink); background: var(--card); border-color: var(--line);
}
#show-en:focus-visible ~ .switch label[for="show-en"],
#show-zh-CN:focus-visible ~ .switch label[for="show-zh-CN"] {
  outline: 3px solid var(--accent); outline-offset: 2px;
}
article { display: none; }
#show-en:checked ~ main > article[lang="en"],
#show-zh-CN:checked ~ main > article[lang="zh-CN"] { display: block; }

header { margin-bottom: 2rem; padding-inline-end: 11rem; }
h1 { font-size: 1.75rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; line-height: 1.3; font-weight: 650; }
h3 { font-size: 1rem; font-weight: 650; margin: 2.25rem 0 .25rem; }
.label { font-size: .875rem; color: var(--soft); }
.note, .quiet { font-size: .875rem; line-height: 1.5; color: var(--soft); }
.lede { color: var(--soft); max-width: 44rem; margin-top: .25rem; }
.quiet { margin-top: .5rem; }
.spoken {
  position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
section { margin-top: 4rem; }

.hero, .tile, .warnings li {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
}
.hero { display: grid; grid-template-columns: 1.1fr 1fr; }
.hero > div { padding: 1.75rem 2rem 2rem; }
.proof { border-inline-start: 1px solid var(--line); }
.hero p + p { margin-top: .4rem; }
.hero p:last-child, .value p:nth-child(n + 3) { color: var(--soft); max-width: 32rem; }
.headline { font-size: 1.25rem; line-height: 1.15; }
.headline .number {
  font-size: 3.25rem; font-weight: 650; letter-spacing: -.025em; color: var(--accent);
}
.verdict { font-weight: 650; display: flex; gap: .5rem; align-items: center; }
.proof .verdict { min-height: 1.5rem; }
.tick { width: 1.5rem; height: 1.5rem; flex: none; }
.tick path {
  fill: none; stroke: var(--accent); stroke-width: 2.6; stroke-linecap: round;
  stroke-linejoin: round;
}
.broken { border-inline-start: 6px solid var(--ink); }
.broken li { margin-top: .4rem; font-size: .875rem; }
.tiles {
  display: grid; grid-template-columns: repeat(4, 1fr); gap: 1rem; margin-top: 1rem;
}
.tile { padding: 1.1rem 1.25rem 1.25rem; }
.figure {
  font-size: 1.5rem; font-weight: 600; line-height: 1.3; letter-spacing: -.01em;
}
.tile .note { margin-top: .15rem; }

.warnings li {
  padding: .9rem 1.25rem; margin-top: .75rem;
  border-inline-start: 4px solid var(--accent);
}
.bars { display: grid; gap: 1.1rem; margin-top: 1.5rem; }
.bars li {
  display: grid; grid-template: "what bar many" auto "note bar many" auto
    / minmax(0, 20rem) minmax(0, 1fr) minmax(5.5rem, auto);
  gap: 0 1.75rem; align-items: center;
}
.bars .what { grid-area: what; font-weight: 600; }
.bars .many { grid-area: many; text-align: end; }
.bars .note { grid-area: note; }
.bars .bar { grid-area: bar; }
.bar { display: block; width: 100%; height: 14px; }
.rest { fill: var(--pale); }
.used { fill: var(--accent); }

.nights small { color: var(--soft); font-weight: 400; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 3rem; }
.pair > *, .stack > * { min-width: 0; }
data { white-space: nowrap; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
caption { text-align: start; color: var(--soft); padding: .25rem 0 .5rem; }
th, td { text-align: start; vertical-align: baseline; font-weight: 400; }
thead th { color: var(--soft); font-size: .8125rem; vertical-align: bottom; }
.list th, .list td {
  padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line);
}
.list td, .list thead th:not(:first-child) { text-align: end; padding-right: 0; }
.list td { white-space: nowrap; padding-left: .75rem; }
.wide td:not(:last-child), .wide thead th:not(:last-child) {
  text-align: start; white-space: normal;
}
.list th:first-child { min-width: 5.5rem; }
.list thead th { overflow-wrap: normal; }
.list thead th:not(:first-child) { padding-left: .75rem; }
.list small, .heat small { display: block; color: var(--soft); font-size: .8125rem; }
.list th span { color: inherit; }
.heat { table-layout: fixed; border-collapse: separate; border-spacing: 3px; }
.heat caption { padding-inline-start: 3px; }
.heat th { padding: .2rem .25rem; font-size: .8125rem; }
.heat thead th:not(:first-child) { text-align: center; }
.heat thead th:first-child { width: 17%; }
.heat td {
  position: relative; height: 2.75rem; padding: .2rem .25rem .35rem; line-height: 1.25;
  text-align: center; vertical-align: middle; border-radius: 5px;
  font-size: .8125rem; background: var(--card);
}
.heat small { color: inherit; font-size: .75rem; }
.heat .none { background: none; color: var(--soft); }
.fill {
  position: absolute; inset: auto 4px 3px 4px; width: calc(100% - 8px); height: 2px;
}
.heat .shade1, .steps .shade1 { background: var(--shade1); }
.heat .shade2, .steps .shade2 { background: var(--shade2); }
.heat .shade3, .steps .shade3 { background: var(--shade3); }
.heat .shade4, .steps .shade4 { background: var(--shade4); }
.legend {
  display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .6rem;
  margin: .75rem 0 .5rem; font-size: .8125rem; color: var(--soft);
}
.steps { display: inline-flex; gap: 2px; }
.steps i {
  width: 1.4rem; height: .8rem; border-radius: 3px; background: var(--card);
  border: 1px solid var(--line);
}
.stack .scroll { margin-top: 1rem; }
.stack table { min-width: 40rem; }

.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 2rem; margin-top: .75rem; }
section > .bar { margin-top: 1.25rem; height: 16px; }
dl > div {
  display: grid; grid-template-columns: 9rem 1fr; gap: 1rem; padding: .5rem 0;
  border-bottom: 1px solid var(--line); font-size: .875rem;
}
dt { color: var(--soft); }
code {
  font: .8125rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas,
    "Noto Sans Mono", monospace;
}
footer {
  margin-top: 4rem; padding-top: 1.5rem; border-top: 1px solid var(--line);
  font-size: .875rem; color: var(--soft); display: grid; gap: .25rem;
}
footer code { color: var(--ink); }

@media (max-width: 60rem) {
  .tiles { grid-template-columns: 1fr 1fr; }
  .pair { grid-template-columns: 1fr; }
}
@media (max-width: 44rem) {
  main { padding: 4rem 1.1rem 3rem; }
  .switch { top: 1rem; padding: 0 1.1rem; }
  .switch label { padding: .45rem .85rem; }
  header { padding-inline-end: 0; margin-bottom: 1.25rem; }
  section { margin-top: 3rem; }
  .hero { grid-template-columns: 1fr; }
  .hero > div { padding: 1.25rem; }
  .proof { border-inline-start: 0; border-top: 1px solid var(--line); }
  .headline .number { font-size: 2.6rem; }
  .tiles { gap: .6rem; }
  .tile { padding: .85rem .9rem 1rem; }
  .figure { font-size: 1.125rem; }
  .heat th { padding: .2rem .1rem; }
  .heat thead th { font-size: .6875rem; }
  .bars li {
    grid-template: "what many" auto "bar bar" auto "note note" auto
      / minmax(0, 1fr) auto;
    gap: .2rem 1rem;
  }
  .sides { gap: 1.25rem; }
  dl > div { grid-template-columns: 1fr; gap: 0; }
}
@media print {
  :root {
    --page: #ffffff; --card: #ffffff; --ink: #000000; --soft: #444444;
    --line: #cccccc; --pale: #d9dddb; --accent: #12665f;
    --shade1: #e3efed; --shade2: #c6e0dc; --shade3: #a3cdc7; --shade4: #7cb8b0;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  html { font-size: 9.5pt; }
  body { font-size: 1rem; }
  main { max-width: none; padding: 0; }
  .switch { display: none; }
  header { padding: 0; }
  section { margin-top: 2rem; }
  .hero { grid-template-columns: 1.1fr 1fr; }
  .tiles { grid-template-columns: repeat(4, 1fr); }
  .pair { grid-template-columns: 1fr 1fr; gap: 0 2rem; }
  .heat td { height: 2.4rem; }
  .list th, .list td { padding-block: .3rem; }
  .hero, .tile, tr, .bars li, dl > div { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
@media (prefers-reduced-motion: no-preference) {
  .switch label { transition: color .15s; }
}
"""
