// The row of a series that has no values in what is shown: where they lie instead, and a way there.

import { fetchSeries } from "./chart-data.js";
import { exactly, relative } from "./time.js";

const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
// of the window, between its edge and the values that somebody came for
const MARGIN = 0.05;
const AGAIN_MS = 10000;

/** Counts values that lie ahead; what cannot be read is not said. */
async function count(one, { first, last }) {
  const [answer] = (await fetchSeries({ ids: [one.id], start: first, end: last + 1, points: 2 })).values();
  return (answer.stats?.count ?? 0) + answer.others;
}

/** Where the values are: {text, go: [start, end]}; null where some are shown, or none have come at all. */
function elsewhere(one, [start, end], again) {
  const { drawn } = one;
  if (!drawn || drawn.stats || drawn.others || drawn.first === null || drawn.last === null) return null;
  const { first, last } = drawn;
  const length = end - start;
  if (first > end) {
    one.ahead ??= { last: null, many: null, asking: false, asked: -Infinity };
    const { ahead } = one;
    // with every new value `last` is another: one question at a time, and not with each of them
    if (!ahead.asking && ahead.last !== last && performance.now() - ahead.asked > AGAIN_MS) {
      Object.assign(ahead, { last, asking: true, asked: performance.now() });
      count(one, drawn)
        .then((number) => { ahead.many = number; })
        .catch(() => {})
        .finally(() => {
          ahead.asking = false;
          again();
        });
    }
    const { many } = ahead;
    const what = many === null ? "values" : many === 1 ? "1 value" : `${many.toLocaleString()} values`;
    const when = new Date(first).toDateString() === new Date(end).toDateString() ? exactly(first) : DAY.format(first);
    return { text: `no values here; ${what} ${many === 1 ? "at" : "from"} ${when}${many === 1 ? "" : " on"}`, go: [first - length * MARGIN, first + length * (1 - MARGIN)], title: exactly(first) };
  }
  if (last >= start && last <= end) return null;
  const text = `no values here; newest: ${last < start ? relative(last) : DAY.format(last)}`;
  return { text, go: [last - length * (1 - MARGIN), last + length * MARGIN], title: exactly(last) };
}

/** Says it in the row of the table; what stands there already stays, with the focus on it. */
export function sayElsewhere(panel, row, one) {
  const { board } = panel;
  const found = elsewhere(one, board.window(), () => sayElsewhere(panel, row, one));
  const said = row.cells[0].querySelector("[data-elsewhere]");
  if (!found) {
    said?.remove();
    return;
  }
  const note = said ?? document.createElement("p");
  if (!said) {
    note.className = "series-elsewhere";
    note.dataset.elsewhere = "";
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "link", textContent: "Go there" });
    button.setAttribute("aria-label", `Go to the values of ${one.key}`);
    note.append(document.createElement("span"), " ", button);
    row.cells[0].append(note);
  }
  const [text, button] = note.children;
  if (text.textContent !== found.text) text.textContent = found.text;
  text.title = found.title;
  button.onclick = () => {
    board.setTime({ range: found.go[1] - found.go[0], fixed: found.go, at: board.at });
    board.load();
    board.changed({ push: true });
  };
}
