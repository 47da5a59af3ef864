// What the page is drawn with: nodes that are kept while they change, and words for numbers.

const SVG = 'http://www.w3.org/2000/svg';

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  set(node, attributes);
  node.append(...children);
  return node;
}

export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? '' : value);
  }
}

export function say(node, text) { if (node.textContent !== text) node.textContent = text; }

// Keeps one child of `parent` for each key of the items, so that focus and what is unfolded stay where they are.
export function keep(parent, items, key, create, update) {
  const old = new Map([...parent.children].map(node => [node.dataset.key, node])), kept = new Set();
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    if (kept.has(name)) continue;
    kept.add(name);
    let node = old.get(name);
    if (!node) { node = create(item); node.dataset.key = name; }
    update(node, item);
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  for (const [name, node] of old) if (!kept.has(name)) node.remove();
}

export const plural = (count, one, many = one + 's') => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

export function stretch(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

export const date = unix => new Date(unix * 1000).toLocaleString('en-GB');
export const clock = unix => new Date(unix * 1000).toLocaleTimeString('en-GB');
export const milliseconds = ms => ms === undefined ? '' : ms < 10 ? `${ms.toFixed(1)} ms` : ms < 10000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

export function svg(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// The seconds in "2h" or "1h 30m"; undefined where nothing is said, null where it makes no sense.
export function seconds(text) {
  text = text.trim();
  if (!text) return undefined;
  const units = { s: 1, sec: 1, m: 60, min: 60, h: 3600, d: 86400 };
  const parts = [...text.matchAll(/(\d+)\s*([a-z]+)\s*/gy)];
  const known = parts.length && parts.map(part => part[0]).join('') === text && parts.every(part => Object.hasOwn(units, part[2]));
  return known ? parts.reduce((sum, part) => sum + part[1] * units[part[2]], 0) : null;
}
