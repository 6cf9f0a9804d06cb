// A dashboard: its charts below or beside each other, all of one time.

import { followAddress, readable, startBar, timeQuery } from "./chart-bar.js";
import { Board } from "./chart-board.js";
import { rangeText } from "./chart-time.js";

const root = document.getElementById("board");

function start() {
  const fallback = document.getElementById("chartbar").dataset.range;
  let updateBar = () => {};

  /** Links to Explore and to exports go on with the time that is shown. */
  function links() {
    for (const link of document.querySelectorAll("a[data-open]")) {
      const url = new URL(link.href);
      for (const name of ["range", "from", "to", "at"]) url.searchParams.delete(name);
      for (const [name, value] of timeQuery(board, rangeText)) url.searchParams.set(name, value);
      link.href = url.pathname + "?" + readable(url.searchParams);
    }
    const [from, to] = board.window().map((time) => new Date(Math.round(time)).toISOString());
    for (const panel of board.panels) {
      const query = new URLSearchParams(panel.series.map((one) => ["s", one.key]));
      query.set("from", from);
      query.set("to", to);
      panel.root.querySelector("[data-export]").href = `/export/?${readable(query)}`;
    }
  }

  const board = new Board(root, {
    onState({ push }) {
      updateBar();
      if (push !== true) return;
      const query = timeQuery(board, rangeText);
      if (new URLSearchParams(window.location.search).has("edit")) query.set("edit", "1");
      window.history.pushState(null, "", `${window.location.pathname}?${readable(query)}`);
      links();
    },
  });
  for (const section of root.querySelectorAll("[data-panel]")) {
    const panel = board.add(section);
    if (!panel.title.textContent.trim()) panel.title.textContent = panel.titleText;
  }
  updateBar = startBar(board);
  followAddress(board, fallback, links);
  document.addEventListener("pointerdown", links, { capture: true });
}

if (root) start();
