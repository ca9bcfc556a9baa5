// A closer look, on the pages of review and labelling: the picture outgrows its frame, which scrolls. The page has a
// function showPicture, which loads the large one where `zoom` is above 1.
"use strict";

const CLOSER = 1.5, DEEPEST = 12; // one step of the zoom, and its end
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }; // with Shift
const CLOSER_KEYS = {
  "+": () => lookCloser(zoom * CLOSER), "=": () => lookCloser(zoom * CLOSER), "-": () => lookCloser(zoom / CLOSER), 0: () => lookCloser(1),
};
let zoom = 1;

function lookCloser(to, x = 0.5, y = 0.5) { // x, y: the point that stays where it is, in shares of the frame
  const figure = at("sheet"), picture = at("picture");
  const middle = [x * figure.clientWidth, y * figure.clientHeight];
  const point = [figure.scrollLeft + middle[0], figure.scrollTop + middle[1]];
  const growth = (picture.hidden ? 1 : Math.min(Math.max(to, 1), DEEPEST)) / zoom;
  zoom *= growth;
  figure.classList.toggle("close", zoom > 1);
  picture.style.width = picture.style.height = zoom > 1 ? `${100 * zoom}%` : "";
  figure.scrollTo(point[0] * growth - middle[0], point[1] * growth - middle[1]);
  if (zoom === growth && zoom > 1) showPicture(); // the large one, once
}

function moveSheet(event) { // whether the key moves it
  if (!MOVES[event.key]) return false;
  event.preventDefault();
  const [across, down] = MOVES[event.key], figure = at("sheet");
  figure.scrollBy(across * figure.clientWidth / 5, down * figure.clientHeight / 5);
  return true;
}

function pointed(event) {
  const frame = at("sheet").getBoundingClientRect();
  return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
}

function watchPointer() {
  const figure = at("sheet");
  let start = null, held = false;
  figure.addEventListener("wheel", (event) => {
    if (at("picture").hidden) return;
    event.preventDefault();
    lookCloser(event.deltaY < 0 ? zoom * CLOSER ** 0.5 : zoom / CLOSER ** 0.5, ...pointed(event));
  }, { passive: false });
  figure.addEventListener("pointerdown", (event) => {
    start = { x: event.clientX, y: event.clientY, left: figure.scrollLeft, top: figure.scrollTop };
    held = event.pointerType === "mouse" && event.button === 0;
  });
  addEventListener("pointermove", (event) => {
    if (held) figure.scrollTo(start.left + start.x - event.clientX, start.top + start.y - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { held = false; });
  figure.addEventListener("click", (event) => {
    const dragged = start && Math.hypot(event.clientX - start.x, event.clientY - start.y) > 4;
    if (!dragged && !at("picture").hidden) lookCloser(zoom > 1 ? 1 : CLOSER ** 2, ...pointed(event));
  });
}

function closerButtons() {
  return [["+", "closer"], ["-", "farther"], ["0", "whole sheet"]].map(([key, text]) => button(key, text, CLOSER_KEYS[key]));
}
