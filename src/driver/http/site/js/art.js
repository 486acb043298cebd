// A lab's picture: a chain of steps, drawn from its name, so that each lab looks like itself.

import { drawn } from "./dom.js";

const WIDTH = 400, HEIGHT = 92;

function hashed(name) {
  let state = 2166136261;
  for (const letter of name) state = Math.imul(state ^ letter.charCodeAt(0), 16777619) >>> 0;
  return state;
}

function seed(state) {
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function art(name) {
  const hash = hashed(name);
  const next = seed(hash);
  // From green over blue to pink: what lies between pink and green is mud where it goes over into dark.
  const hue = 160 + ((hash >>> 8) % 170);
  const id = `art-${name}`;
  const points = Array.from({ length: 6 }, (_, index) => [24 + index * 70 + next() * 18, 20 + next() * 52]);
  const line = points.map(([x, y], index) => {
    if (!index) return `M${x} ${y}`;
    const [before, from] = points[index - 1];
    const middle = (before + x) / 2;
    return `C${middle} ${from} ${middle} ${y} ${x} ${y}`;
  }).join(" ");
  const echoes = [22, 44].map((shift) => drawn("path", { d: line, transform: `translate(0 ${shift - 33})`, fill: "none", stroke: "#fff", "stroke-opacity": ".16", "stroke-width": 2 }));
  return drawn("svg", { class: "art", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" },
    drawn("defs", {}, drawn("linearGradient", { id, x1: 0, y1: 0, x2: 1, y2: 1 },
      drawn("stop", { offset: 0, "stop-color": `hsl(${hue} 58% 46%)` }), drawn("stop", { offset: 1, "stop-color": `hsl(${hue + 24} 56% 28%)` }))),
    drawn("rect", { width: WIDTH, height: HEIGHT, fill: `url(#${id})` }), ...echoes,
    drawn("path", { d: line, fill: "none", stroke: "#fff", "stroke-opacity": ".75", "stroke-width": 2.5, "stroke-linecap": "round" }),
    ...points.map(([x, y], index) => drawn("circle", { cx: x, cy: y, r: index === 5 ? 7 : 5, fill: index === 5 ? "#8cf0c4" : "#fff" })));
}
