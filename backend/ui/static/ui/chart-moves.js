// Moving in time with pointer, wheel, fingers and keys. Says what is wanted; the board decides what is shown.

const CLICK = 5;
const STILL_SCROLLING = 350;
let scrolled = -Infinity;

window.addEventListener("scroll", () => { scrolled = performance.now(); }, { passive: true });

/** Listens on a panel's plot. `panel` offers timeAt(x), hover, leave, select, menu, step, board. */
export function listen(plot, panel) {
  const { board } = panel;
  const pointers = new Map();
  let drag = null;
  let pinch = null;

  const local = (event) => event.clientX - plot.getBoundingClientRect().left;
  const inside = (event) => {
    const { top, left } = plot.getBoundingClientRect();
    return panel.inside(event.clientX - left, event.clientY - top);
  };

  const between = () => {
    const [a, b] = [...pointers.values()];
    return { middle: (a.x + b.x) / 2, distance: Math.max(10, Math.abs(a.x - b.x)) };
  };

  plot.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("a, button, .plot-menu") || !inside(event)) return;
    pointers.set(event.pointerId, { x: local(event) });
    if (pointers.size === 2) {
      pinch = { ...between(), window: board.window() };
      drag = null;
      panel.select(null);
      return;
    }
    plot.setPointerCapture(event.pointerId);
    const moving = event.shiftKey || event.pointerType === "touch";
    drag = { from: local(event), y: event.clientY, to: local(event), moving, window: board.window(), far: false };
  });

  plot.addEventListener("pointermove", (event) => {
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, { x: local(event) });
    if (pinch && pointers.size === 2) {
      const { middle, distance } = between();
      const [start, end] = pinch.window;
      const length = (end - start) * (pinch.distance / distance);
      const held = start + (end - start) * panel.share(pinch.middle);
      const from = held - length * panel.share(middle);
      board.moveTo(from, from + length, { live: false });
      return;
    }
    if (!drag) {
      const { top, left } = plot.getBoundingClientRect();
      panel.hover(event.clientX - left, event.clientY - top);
      return;
    }
    drag.to = local(event);
    if (Math.abs(drag.to - drag.from) > CLICK) drag.far = true;
    if (!drag.far) return;
    panel.leave();
    if (drag.moving) {
      const [start, end] = drag.window;
      const by = (end - start) * (panel.share(drag.from) - panel.share(drag.to));
      board.moveTo(start + by, end + by, { live: true });
    } else panel.select([drag.from, drag.to]);
  });

  const ended = (event) => {
    pointers.delete(event.pointerId);
    if (pinch) {
      if (pointers.size < 2) {
        pinch = null;
        board.settle();
      }
      return;
    }
    if (!drag) return;
    const { from, to, moving, far } = drag;
    drag = null;
    panel.select(null);
    if (event.type === "pointercancel") {
      board.settle();
      return;
    }
    if (!far) {
      const { top, left } = plot.getBoundingClientRect();
      panel.openMenu(event.clientX - left, event.clientY - top);
      return;
    }
    if (!moving) board.moveTo(panel.timeAt(Math.min(from, to)), panel.timeAt(Math.max(from, to)), { live: false });
    board.settle();
  };
  plot.addEventListener("pointerup", ended);
  plot.addEventListener("pointercancel", ended);
  plot.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") board.hold(panel); });
  plot.addEventListener("pointerleave", () => {
    if (drag) return;
    panel.leave();
    board.release(panel);
  });

  plot.addEventListener("wheel", (event) => {
    // somebody who scrolls through the page is not stopped by a chart on the way
    if (!event.ctrlKey && performance.now() - scrolled < STILL_SCROLLING) return;
    if (!inside(event) || event.deltaY === 0) return;
    event.preventDefault();
    const strength = event.deltaMode === 1 ? 0.05 : 0.0022;
    const factor = Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * strength * (event.ctrlKey ? 4 : 1));
    board.zoom(factor, panel.share(local(event)));
  }, { passive: false });

  plot.addEventListener("keydown", (event) => {
    if (event.target !== plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = {
      ArrowLeft: () => (event.shiftKey ? panel.step(-1) : board.pan(-0.25)),
      ArrowRight: () => (event.shiftKey ? panel.step(1) : board.pan(0.25)),
      "+": () => board.zoom(0.5, 0.5),
      "=": () => board.zoom(0.5, 0.5),
      "-": () => board.zoom(2, 0.5),
      End: () => board.goLive(),
      Enter: () => panel.openMenuAtCursor(),
      Escape: () => panel.leave(),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });
  plot.addEventListener("blur", () => {
    panel.leave();
    board.release(panel);
  });
}
