// What is done here, where a token is configured. Before an order is given, the dialog shows what it would do, as the server says
// it, for as long as the dialog is open.

import { keep, make, milliseconds, plural, say, seconds, set } from './tools.js';

const $ = id => document.getElementById(id);
const NAMED = 6;                  // so many members are named

let redraw = () => {};
let mayOperate = false;
let wanted = null;                // the order that the dialog is about
let asking = false;               // whether its effect is asked for
const found = new Map();          // by member, what a probe found that was wanted here

const token = () => sessionStorage.getItem('token');

async function post(path, body) {
  const reply = await fetch(`v1/${path}`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token()}` }, body: JSON.stringify(body) });
  const said = await reply.json().catch(() => ({}));
  if (reply.status === 401) stopOperating();
  return { ...said, ok: reply.ok, error: said.error ?? `the server says ${reply.status}` };
}

// ---- below a member

// What is found there besides the status, for whoever draws it anew when it changes.
export const operating = (pool, member) => mayOperate ? [nameOf(pool, member), found.get(nameOf(pool, member))] : null;

export function buttons(pool, member) {
  const row = make('div', { class: 'buttons' }), name = nameOf(pool, member), said = found.get(name);
  const words = member.order ? ['release', member.order.word === 'drain' ? 'force' : 'drain'] : ['drain', 'force'];
  for (const word of words) row.append(button(word, () => askFor(word, name, `${word} ${member.label} of ${pool.name}`)));
  row.append(button('probe', () => probe(name)));
  if (said) row.append(make('span', { class: 'said', role: 'status' }, said));
  return row;
}

function button(word, act) {
  const node = make('button', { type: 'button', 'data-word': word }, word);
  node.addEventListener('click', act);
  return node;
}

const nameOf = (pool, member) => `${member.record}@${pool.name}`;

async function probe(member) {
  const tell = text => { found.set(member, text); redraw(); };
  tell('asking …');
  try {
    const reply = await post('probes', { member });
    if (!reply.ok) return tell(reply.error);
    const told = reply.findings.map(({ check, reason, leaving, detail, latency_ms }) =>
      `${check}: ${reason ? `${leaving ? 'leaving' : 'fail'}: ${reason}${detail ? ` (${detail})` : ''}` : 'pass'}, ${milliseconds(latency_ms)}`);
    tell([...told, ...reply.late.map(question => `${question.check}: no answer in time`)].join('; '));
  } catch {
    tell('The server cannot be reached.');
  }
}

// ---- the dialog

function askFor(word, member, title) {
  wanted = { word, member };
  say($('order-title'), title);
  say($('order-about'), word === 'drain' ? 'It is not answered while anybody else can be. Probes go on.'
    : word === 'force' ? 'It is answered whatever probes say.' : 'What is observed counts again.');
  say($('order-give'), word);
  say($('order-trouble'), '');
  $('order-effect').replaceChildren();
  $('order-sure').checked = false;
  $('order-sure-row').hidden = true;
  for (const id of ['order-reason', 'order-time']) { $(id).value = ''; $(id).parentElement.hidden = word === 'release'; }
  $('order').showModal();
  foresee();
}

// Shows what the order would do now.
export async function foresee() {
  if (!$('order').open || asking) return;
  asking = true;
  const { word, member } = wanted;
  try {
    const query = new URLSearchParams(word === 'release' ? { member } : { member, order: word });
    const reply = await fetch(`v1/preview?${query}`);
    if (reply.ok && wanted.word === word && wanted.member === member) drawEffect(await reply.json());
  } catch {
    // That the server cannot be reached, the page says already.
  }
  asking = false;
}

function drawEffect({ pools }) {
  keep($('order-effect'), pools, left => `${left.pool} ${left.record_type}`, () => make('li', {}, make('b'), make('span')), (node, left) => {
    set(node, { 'data-is': left.mode === 'live' ? null : 'bad' });
    say(node.firstChild, `${left.pool} ${left.record_type}`);
    say(node.lastChild, `${left.live} of ${left.members} live then${left.mode === 'live' ? '' : ', too few: it fails open'}; answered: ${named(left.answered)}`);
  });
  $('order-sure-row').hidden = !pools.some(left => left.bares);
}

function named(members) {
  const more = members.length - NAMED;
  return (members.slice(0, NAMED).join(', ') || 'nobody') + (more > 0 ? ` and ${plural(more, 'other')}` : '');
}

async function give(event) {
  event.preventDefault();
  const { word, member } = wanted, lasts = seconds($('order-time').value.toLowerCase());
  if (word !== 'release' && lasts === null) return say($('order-trouble'), 'The time makes no sense: 2h, 30m, 1h 30m.');
  try {
    const reply = word === 'release' ? await post('release', { member })
      : await post('orders', { member, order: word, reason: $('order-reason').value, seconds: lasts, yes: $('order-sure').checked });
    if (reply.ok && !reply.warning) return $('order').close();
    say($('order-trouble'), reply.warning ?? reply.error);
  } catch {
    say($('order-trouble'), 'The server cannot be reached.');
  }
}

// ---- who may

function stopOperating() {
  sessionStorage.removeItem('token');
  mayOperate = false;
  tellOperating();
}

function tellOperating() {
  say($('operate'), mayOperate ? 'stop operating' : 'operate');
  redraw();
}

// `draw` draws the page anew.
export function begin(draw) {
  redraw = draw;
  $('order').addEventListener('submit', give);
  $('order-cancel').addEventListener('click', () => $('order').close());
  $('operate').addEventListener('click', () => {
    if (mayOperate) return stopOperating();
    const given = prompt('The token of [admin] token-file');
    if (given) { sessionStorage.setItem('token', given.trim()); mayOperate = true; }
    tellOperating();
  });
  fetch('v1/access').then(reply => reply.ok ? reply.json() : {}).then(said => {
    $('operate').hidden = !said.token;
    mayOperate = !!said.token && !!token();
    tellOperating();
  }).catch(() => {});
}
