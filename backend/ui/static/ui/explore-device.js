// The Charts tab of a device: every series small, all of one time; a click enlarges one in Explore.

import { followAddress, readable, startBar, timeQuery } from "./chart-bar.js";
import { Board } from "./chart-board.js";
import { valueText } from "./chart-panel.js";
import { rangeText } from "./chart-time.js";

const root = document.getElementById("board");

function start() {
  const fallback = document.getElementById("chartbar").dataset.range;
  let updateBar = () => {};

  function links() {
    for (const panel of board.panels) {
      const query = new URLSearchParams({ s: panel.series[0].key });
      for (const [name, value] of timeQuery(board, rangeText)) query.set(name, value);
      panel.root.querySelector("[data-enlarge]").href = `${root.dataset.explore}?${readable(query)}`;
    }
  }

  function lastValues() {
    for (const panel of board.panels) {
      const [one] = panel.series;
      const last = one.drawn?.stats?.last ?? null;
      const text = last === null ? "–" : `${valueText(last)}${one.unit ? ` ${one.unit}` : ""}`;
      const out = panel.root.querySelector("[data-last]");
      if (out.textContent !== text) out.textContent = text;
    }
  }

  const board = new Board(root, {
    onState({ push }) {
      updateBar();
      lastValues();
      if (push !== true) return;
      const query = new URLSearchParams({ tab: "charts" });
      for (const [name, value] of timeQuery(board, rangeText)) query.set(name, value);
      window.history.pushState(null, "", `${window.location.pathname}?${readable(query)}`);
      links();
    },
  });
  for (const section of root.querySelectorAll("[data-small-panel]")) board.add(section, { small: true });
  updateBar = startBar(board);
  followAddress(board, fallback, links);
}

if (root) start();
