"""A real browser, without a network, that looks at pages and says what it sees."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import stop

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--hide-scrollbars", "--no-first-run", "--disable-extensions"),
)
#: How often a browser is looked at that has printed its page and still lives.
PATIENCE = 30
#: Looks at every page in its frame, and writes what it found as the only text.
PROBE = """
<script>
const luminance = (color) => {
  const parts = color.match(/[\\d.]+/g).map(Number);
  const linear = parts.slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const isClear = (color) => /^rgba\\(.*, 0\\)$/.test(color) || color === "transparent";
const ground = (view, node) => {
  for (let at = node; at; at = at.parentElement) {
    const color = view.getComputedStyle(at).backgroundColor;
    if (!isClear(color)) return color;
  }
  return "rgb(255, 255, 255)";
};
const look = (frame) => {
  const doc = frame.contentDocument, view = frame.contentWindow;
  const width = doc.documentElement.clientWidth;
  const article = [...doc.querySelectorAll("article")].find(
    (node) => view.getComputedStyle(node).display !== "none");
  let least = 99, palest = "";
  const outside = [];
  for (const node of article.querySelectorAll("*")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const box = node.getBoundingClientRect();
    if (!own || !box.width || node.closest(".spoken, svg")) continue;
    const pair = [view.getComputedStyle(node).color, ground(view, node)];
    const [low, high] = pair.map(luminance).sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < least) { least = contrast; palest = node.textContent.slice(0, 40); }
    if (box.right > width + 1 && !node.closest(".scroll")) {
      outside.push(node.textContent.slice(0, 40));
    }
  }
  const tiles = doc.querySelector(`article[lang="${article.lang}"] .tiles`);
  const hero = article.querySelector(".hero");
  return {
    width, language: article.lang, least, palest, outside,
    overflow: doc.documentElement.scrollWidth - width,
    proof: hero ? hero.getBoundingClientRect().bottom : 0,
    glance: tiles ? tiles.getBoundingClientRect().bottom : 0,
    ground: view.getComputedStyle(doc.body).backgroundColor,
    strange: doc.querySelectorAll(
      "script:not(main ~ script), img, iframe, a:not(.orders a), form").length,
    requests: view.performance.getEntriesByType("resource").map((e) => e.name),
    title: doc.title,
    text: article.innerText,
    sizes: [...doc.querySelectorAll(".switch label")].map((label) => {
      const box = label.getBoundingClientRect();
      return Math.min(box.width, box.height);
    }),
  };
};
const choose = (frame) => {
  const doc = frame.contentDocument;
  const input = doc.querySelector("#show-zh-CN");
  input.focus();
  const isFocused = doc.activeElement === input;
  input.click();
  return isFocused;
};
window.addEventListener("load", () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) {
    found.push(look(frame));
    const isFocused = choose(frame);
    found.push({...look(frame), isFocused});
  }
  document.body.textContent = JSON.stringify(found);
});
</script>
"""


def _ended(process: subprocess.Popen[bytes], out: Path) -> int | None:
    """
    Wait for the browser; ``None`` where all is printed and it does not end.

    A page that downloads may print all of itself, and hang.
    """
    looks = 0
    for _ in range(600):
        try:
            return process.wait(0.1)
        except subprocess.TimeoutExpired:
            looks += out.read_bytes().rstrip().endswith(b"</html>")
            if looks > PATIENCE:
                return None
    raise TimeoutError("the browser printed no whole page in a minute")


@dataclass(frozen=True)
class Browser:
    """Where the browser is, and a folder of its own."""

    path: str
    folder: Path

    def call(self, *flags: str) -> str:
        """Start it, and give back what it prints."""
        profile = f"--user-data-dir={self.folder / 'profile'}"
        words = [self.path, *FLAGS, profile, *flags]
        out, err = self.folder / "printed.txt", self.folder / "errors.txt"
        with out.open("wb") as printed, err.open("wb") as said:
            process = subprocess.Popen(
                words, stdout=printed, stderr=said, start_new_session=True
            )
            try:
                code = _ended(process, out)
            finally:
                stop([process])
        assert code in (0, None), err.read_text("utf-8", "replace")
        return out.read_text("utf-8")

    def look(
        self, pages: Sequence[str], widths: Sequence[int], *, is_dark: bool
    ) -> list[dict[str, Any]]:
        """
        Look at each page in windows of these widths: in English, then in Chinese.

        The report runs no script but its own; the page around it may.
        """
        frames = []
        for number, page in enumerate(pages):
            path = self.folder / f"page-{number}.html"
            path.write_text(page, encoding="utf-8")
            frames += [
                f'<iframe src="{path.name}" width="{width}" height="800" '
                'style="border: 0"></iframe>'
                for width in widths
            ]
        probe = self.folder / "probe.html"
        meta = '<!DOCTYPE html><meta charset="utf-8">'
        probe.write_text(f"{meta}{PROBE}{''.join(frames)}", encoding="utf-8")
        scheme = f"--blink-settings=preferredColorScheme={0 if is_dark else 1}"
        return list(self._said(probe, scheme))

    def ask(self, page: str, question: str, width: int = 1280) -> Any:
        """
        Do something with a page, and give back what that finds.

        Parameters
        ----------
        page
            The page.
        question
            The body of an ``async`` function of JavaScript; takes the frame's ``doc``
            and ``view``, and returns what JSON holds.
        width
            Of the window.
        """
        (self.folder / "asked.html").write_text(page, encoding="utf-8")
        probe = self.folder / "asking.html"
        probe.write_text(
            '<!DOCTYPE html><meta charset="utf-8"><script>'
            f"const ask = async (doc, view) => {{{question}}};"
            "addEventListener('load', async () => {"
            "const frame = document.querySelector('iframe');"
            "const said = await ask(frame.contentDocument, frame.contentWindow);"
            "document.body.textContent = JSON.stringify(said); });</script>"
            f'<iframe src="asked.html" width="{width}" height="800"></iframe>',
            encoding="utf-8",
        )
        return self._said(probe)

    def _said(self, probe: Path, *flags: str) -> Any:
        """Open a page of ours that writes JSON as its only text."""
        printed = self.call(
            "--allow-file-access-from-files",
            "--virtual-time-budget=5000",
            *flags,
            "--dump-dom",
            probe.as_uri(),
        )
        body = re.search(r"<body>(.*)</body>", printed, re.DOTALL)
        assert body is not None, printed[:2_000]
        return json.loads(html.unescape(body[1]))

    def printed(self, page: str) -> bytes:
        """Print a page to PDF."""
        source, target = self.folder / "print.html", self.folder / "print.pdf"
        source.write_text(page, encoding="utf-8")
        self.call("--no-pdf-header-footer", f"--print-to-pdf={target}", source.as_uri())
        return target.read_bytes()


def find_browser(folder: Path) -> Browser:
    """Find the browser, or fail: what people see is tested or it is not."""
    for name in NAMES:
        if path := shutil.which(name):
            return Browser(path, folder)
    pytest.fail(
        "there is no chromium here, and the report is tested in a real browser: "
        "apt-get install chromium"
    )
