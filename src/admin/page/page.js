// The dashboard: draws each status that the event stream brings, and puts what it is told on the page as text only. What is done
// here is in orders.js.

import { begin, buttons, foresee, operating } from './orders.js';
import { clock, date, keep, make, milliseconds, plural, say, set, stretch, svg } from './tools.js';

const $ = id => document.getElementById(id);
const QUIET_AFTER = 6000;         // ms without news until the page says so
const RETRY = [500, 1000, 2000, 5000];
const STRIP = 3600;               // the most seconds that a member's strip shows
const EVENTS = 40;

let status = null;                // the last status
let rates = { at: 0, queries: new Map(), perSecond: new Map() };
let heard = 0;                    // when news came last, by this browser's clock
let skew = 0;                     // server's clock minus this browser's, in seconds

const now = () => Date.now() / 1000 + skew;
// ---- what a status says

const poolKey = pool => `${pool.name} ${pool.record_type}`;
const memberKey = (pool, member) => `${poolKey(pool)} ${member.record}`;

// How a member is, in a word for the eye (`is`), a mark, and words.
function stateOf(member) {
  if (member.order) {
    const word = member.order.word === 'drain' ? 'drained' : 'forced';
    const beneath = member.observed === 'up' ? '' : `, observed ${member.observed}`;
    return { is: 'order', mark: member.order.word === 'drain' ? '◧' : '◆', text: word + beneath, more: `by ${member.order.who}: ${member.order.why}` };
  }
  if (member.observed === 'unknown') return { is: 'unknown', mark: '○', text: 'unknown', more: 'no verdict yet' };
  if (member.observed === 'down') return { is: 'down', mark: '✕', text: `down: ${member.reason ?? ''}`, more: member.detail ?? '' };
  if (!member.live || member.answered < 100 && member.reason) return { is: 'part', mark: '◐', text: member.reason ?? 'not live', more: member.detail ?? '' };
  if (member.answered > 0 && member.answered < 100) return { is: 'part', mark: '◐', text: `up, ${member.answered} % of its part`, more: '' };
  return { is: 'up', mark: '●', text: 'up', more: member.answered ? '' : 'not answered: others are before it' };
}

const isTrouble = (pool, member) => stateOf(member).is !== 'up' || member.probes.some(probe => probe.stale || probe.contradictions);
const poolInTrouble = pool => pool.mode !== 'live' || !pool.settled || !!pool.versions || pool.members.some(member => isTrouble(pool, member));

function badges(pool) {
  const found = [];
  const live = pool.members.filter(member => member.live).length;
  if (pool.mode === 'failing-open') found.push(['bad', 'failing open', `${plural(live, 'member is', 'members are')} live, ${pool.min_live} needed: fail-open decides who is answered`]);
  if (!pool.settled) found.push(['warn', 'unsettled', 'a change is pending: short TTLs']);
  if (pool.versions) found.push(['warn', 'code differs', pool.versions]);
  if (!found.length) found.push(live === pool.members.length ? ['good', 'all live', ''] : ['calm', `${live} of ${pool.members.length} live`, '']);
  return found;
}

function alerts(status) {
  const { server, pools } = status, found = [];
  if (server.prober.frozen) found.push(['bad', 'What is observed is frozen: the members are silent, and the guards, too. Look at this server’s own network.']);
  if (server.prober.stale) found.push(['bad', `Nothing was heard of ${plural(server.prober.stale, 'probe')} for too long: their verdicts are stale, and their pools fail open.`]);
  for (const pool of pools) if (pool.mode === 'failing-open') found.push(['bad', `${pool.name} ${pool.record_type} fails open: too few of its members can serve.`]);
  for (const shown of server.certificates) if (shown.expires_soon) found.push(['warn', `The certificate ${shown.file} is valid until ${date(shown.expires)}.`]);
  if (server.state_trouble) found.push(['warn', `The state file cannot be written: ${server.state_trouble}. Orders and health since then would not outlive a restart.`]);
  if (server.config.on_disk === 'differs') found.push(['warn', 'The files on disk differ from what runs: “onstage reload” takes them in, or tells what is wrong with them.']);
  if (server.config.on_disk === 'unreadable') found.push(['warn', 'The config on disk, or a file that it names, cannot be read: a restart would fail.']);
  for (const stray of status.strays) found.push(['warn', `There is an order on ${stray.member}, which is in no zone.`]);
  return found;
}

// ---- drawing

// Latencies of the last verdicts, the newest at the right; a fail is as high as there is room.
function drawPlot(plot, recent) {
  const shown = recent.slice(-32), most = Math.max(20, ...shown.filter(v => !v.reason).map(v => v.latency_ms));
  const bars = shown.map((verdict, i) => {
    const height = verdict.reason ? 20 : Math.max(1.5, 19 * verdict.latency_ms / most);
    const bar = svg('rect', { x: 3 * (32 - shown.length + i), y: 20 - height, width: 2.2, height });
    if (verdict.reason) bar.setAttribute('class', 'fail');
    return bar;
  });
  plot.replaceChildren(...bars);
}

// When all of its probes were up since the server started, or within the last hour, as far as the server remembers.
function drawStrip(strip, member, changes) {
  const end = now(), start = Math.max(end - STRIP, status.server.started);
  const x = at => Math.max(0, Math.min(96, (at - start) / Math.max(1, end - start) * 96));
  const key = change => `${change.check} ${change.who}`, first = new Map();
  for (const change of changes) if (!first.has(key(change))) first.set(key(change), change.from);
  const is = new Map(member.probes.map(probe => [`${probe.check} ${probe.target}`, first.get(`${probe.check} ${probe.target}`) ?? probe.observed]));
  const state = () => [...is.values()].includes('down') ? 'down' : [...is.values()].includes('unknown') ? 'unknown' : 'up';
  const parts = [];
  let from = start;
  for (const change of changes) {
    if (change.at > from) { parts.push([state(), from, change.at]); from = change.at; }
    is.set(key(change), change.to);
  }
  parts.push([state(), from, end]);
  strip.replaceChildren(...parts.filter(([, a, b]) => b > a).map(([word, a, b]) => {
    const bar = svg('rect', { x: x(a), y: 0, width: Math.max(.4, x(b) - x(a)), height: 4 });
    if (word !== 'up') bar.setAttribute('class', word);
    return bar;
  }));
}

function newPool() {
  const node = make('article', { class: 'pool' });
  node.append(make('header', {}, make('h2'), make('span', { class: 'badges' })), make('p', { class: 'facts' }), make('div', { class: 'members' }));
  return node;
}

function drawPool(node, pool) {
  set(node, { 'data-mode': pool.mode, 'aria-label': poolKey(pool) });
  const title = node.querySelector('h2');
  if (!title.firstChild) title.append(pool.name, make('span', { class: 'type' }, pool.record_type));
  keep(node.querySelector('.badges'), badges(pool), badge => badge[1], () => make('span', { class: 'badge' }), (badge, [is, text, why]) => {
    set(badge, { 'data-is': is, title: why || null });
    say(badge, text);
  });
  const rate = rates.perSecond.get(poolKey(pool));
  const facts = [`${pool.answered} of ${pool.members.length} answered`, pool.policy, `TTL ${pool.ttl} s`, `so for ${stretch(now() - pool.since)}`,
    rate === undefined ? plural(pool.queries, 'query', 'queries') : `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} queries/s`];
  if (pool.versions) facts.push(pool.versions);
  say(node.querySelector('.facts'), facts.join(' · '));
  const shown = pool.members.filter(member => isShown(pool, member));
  keep(node.querySelector('.members'), shown, member => member.record, () => newMember(), (row, member) => drawMember(row, pool, member));
}

function newMember() {
  const node = make('details', { class: 'member' });
  const plots = make('span', { class: 'plots' });
  const plot = svg('svg', { class: 'plot', viewBox: '0 0 96 20', preserveAspectRatio: 'none', role: 'img' });
  const strip = svg('svg', { class: 'strip', viewBox: '0 0 96 4', preserveAspectRatio: 'none', role: 'img' });
  plots.append(plot, strip);
  node.append(
    make('summary', {}, make('span', { class: 'mark', 'aria-hidden': 'true' }), make('span', { class: 'who' }, make('b'), make('small')),
      make('span', { class: 'state' }, make('span'), make('small')), plots, make('span', { class: 'latency' })),
    make('div', { class: 'more' }));
  node.addEventListener('toggle', () => node.redraw?.());
  sight.observe(node);
  return node;
}

// One that is far from sight is drawn once, and again when it comes near: with thousands of members, most are far.
function drawMember(node, pool, member) {
  node.redraw = () => {
    const state = drawRow(node, member);
    if (node.isNear) drawPast(node, member);
    if (node.open) drawMore(node.querySelector('.more'), pool, member, state);
  };
  if (node.isNear !== false) node.redraw();
}

function drawRow(node, member) {
  const state = stateOf(member), last = member.probes.map(probe => probe.recent.at(-1)).filter(Boolean);
  if (node.dataset.is && node.dataset.is !== state.is) { node.removeAttribute('data-fresh'); void node.offsetWidth; node.dataset.fresh = ''; }
  set(node, { 'data-is': state.is });
  say(node.querySelector('.mark'), state.mark);
  say(node.querySelector('.who b'), member.label);
  say(node.querySelector('.who small'), member.label === member.record ? '' : member.record);
  const since = member.order ? member.order.since : member.since;
  say(node.querySelector('.state span'), state.text);
  say(node.querySelector('.state small'), [since ? `for ${stretch(now() - since)}` : '', member.answered ? '' : 'not answered'].filter(Boolean).join(', '));
  const slowest = last.length ? Math.max(...last.map(verdict => verdict.latency_ms)) : undefined;
  say(node.querySelector('.latency'), milliseconds(slowest));
  return state;
}

// How it was.
function drawPast(node, member) {
  const plot = node.querySelector('.plot'), strip = node.querySelector('.strip');
  const recent = member.probes.flatMap(probe => probe.recent).sort((a, b) => a.at - b.at);
  const fails = recent.filter(verdict => verdict.reason).length;
  drawPlot(plot, recent);
  plot.setAttribute('aria-label', `latency of the last ${plural(recent.length, 'probe')}, ${fails} failed`);
  const changes = status.transitions.filter(change => member.probes.some(probe => change.check === probe.check && change.who === probe.target));
  drawStrip(strip, member, changes);
  strip.setAttribute('aria-label', `since the start, or within an hour: ${plural(changes.length, 'change')}`);
}

const sight = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    target.isNear = isIntersecting;
    if (isIntersecting) target.redraw?.();
  }
}, { rootMargin: '100%' });

// What is unfolded below a member: why it is so.
function drawMore(node, pool, member, state) {
  const lines = [];
  if (state.more) lines.push(state.more);
  if (member.certificate_expires) lines.push(`Its certificate is valid until ${date(member.certificate_expires)}` +
    (!member.certificate_expires_soon ? '.' : member.certificate_expires < now() ? ': it has expired.' : `: for ${stretch(member.certificate_expires - now())} only.`));
  if (member.order) lines.push(`${member.order.word === 'drain' ? 'Drained' : 'Forced'} ${stretch(now() - member.order.since)} ago` +
    (member.order.until ? `, until ${date(member.order.until)}` : ', until it is released') + '.');
  const cells = member.probes.map(probe => {
    const last = probe.recent.at(-1);
    const says = !last ? 'nothing yet' : last.reason ? `${last.leaving ? 'leaving' : 'fail'}: ${last.reason}` : 'pass';
    const pending = probe.contradictions ? `, ${probe.contradictions} of ${probe.threshold} against it` : '';
    return [`${probe.check}`, probe.target, `${probe.observed}${probe.stale ? ', stale' : ''}${pending}`, last ? `${says}, ${milliseconds(last.latency_ms)}, ${stretch(now() - last.at)} ago` : says];
  });
  const may = operating(pool, member), text = JSON.stringify([lines, cells, may, member.order?.word]);
  if (node.text === text) return;
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.word : null;
  node.text = text;
  const table = make('table', {}, make('thead', {}, make('tr', {}, ...['check', 'asks', 'observed', 'last verdict'].map(word => make('th', { scope: 'col' }, word)))),
    make('tbody', {}, ...cells.map(row => make('tr', {}, ...row.map((cell, i) => make('td', i === 1 ? { class: 'num' } : {}, cell))))));
  node.replaceChildren(...lines.map(line => make('p', {}, line)), table);
  if (may) node.append(buttons(pool, member));
  if (focused) node.querySelector(`[data-word="${focused}"]`)?.focus();
}

function isShown(pool, member) {
  if ($('trouble').checked && !isTrouble(pool, member)) return false;
  const words = $('words').value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const text = [pool.name, pool.record_type, member.label, member.record, stateOf(member).text, ...member.probes.map(probe => `${probe.check} ${probe.target}`)].join(' ').toLowerCase();
  return words.every(word => text.includes(word));
}

// What people call whoever is probed there.
function label(target) {
  for (const pool of status.pools) for (const member of pool.members) if (member.probes.some(probe => probe.target === target)) return member.label;
  return null;
}

function eventText(change) {
  const name = change.check && label(change.who), who = name && !change.who.startsWith(name) ? `${name} (${change.who})` : change.who;
  const check = change.check ? `, check ${change.check}` : '';
  return `${who}${check}: ${change.from} → ${change.to}${change.reason ? `, ${change.reason}` : ''}`;
}

function draw() {
  if (!status) return;
  const { server, pools } = status;
  const members = pools.flatMap(pool => pool.members), live = members.filter(member => member.live).length;
  const wrong = pools.filter(pool => pool.mode !== 'live').length;
  say($('summary'), `${plural(pools.length, 'pool')}, ${live} of ${plural(members.length, 'member')} live` + (wrong ? `, ${plural(wrong, 'pool fails', 'pools fail')} open` : ''));
  document.title = `${wrong ? '✕' : live < members.length ? '◐' : '●'} onstage: ${live}/${members.length} live`;
  keep($('alerts'), alerts(status), alert => alert[1], () => make('li', { role: 'alert' }), (node, [is, text]) => { set(node, { 'data-is': is }); say(node, text); });
  const shown = pools.filter(pool => (!$('trouble').checked || poolInTrouble(pool)) && (pool.members.some(member => isShown(pool, member))));
  keep($('pools'), shown, poolKey, newPool, drawPool);
  $('nothing').hidden = shown.length > 0 || pools.length === 0;
  say($('nothing'), $('trouble').checked && !$('words').value ? 'No trouble.' : 'Nothing is named so.');
  const changes = status.transitions.slice(-EVENTS).reverse();
  $('history').hidden = changes.length === 0;
  keep($('events'), changes, change => `${change.at} ${eventText(change)}`, () => make('li', {}, make('time'), make('span')), (node, change) => {
    set(node, { 'data-is': ['down', 'failing-open'].includes(change.to) ? 'bad' : ['up', 'live'].includes(change.to) ? 'good' : null });
    set(node.firstChild, { datetime: new Date(change.at * 1000).toISOString(), title: date(change.at) });
    say(node.firstChild, clock(change.at));
    say(node.lastChild, eventText(change));
  });
  const listen = [...server.listen.plain, ...server.listen.dot.map(a => `${a} TLS`), ...server.listen.doh.map(a => `${a} HTTPS`), ...server.listen.doq.map(a => `${a} QUIC`)];
  say($('server'), [`onstage ${server.version}`, `up ${stretch(server.now - server.started)}`, `pid ${server.pid}`, `config ${server.config.path} (${server.config.hash}), read ${stretch(server.now - server.config.loaded)} ago`,
    `answers on ${listen.join(', ')}`, `${plural(server.queries.received, 'query', 'queries')}, ${plural(server.prober.probes, 'probe')}, latest ${server.prober.lag_ms} ms late`,
    ...status.zones.map(zone => `zone ${zone.name} serial ${zone.serial}`)].join(' · '));
}

function count(next) {
  const elapsed = next.server.now - rates.at;
  const queries = new Map(next.pools.map(pool => [poolKey(pool), pool.queries]));
  if (elapsed < 2) return;
  if (rates.at) for (const [key, value] of queries) {
    const before = rates.queries.get(key);
    if (before !== undefined && value >= before) rates.perSecond.set(key, (value - before) / elapsed);
  }
  rates = { at: next.server.now, queries, perSecond: rates.perSecond };
}

// ---- the stream

function tell(is, text) {
  set($('stream'), { 'data-is': is });
  say($('stream'), text);
  document.body.dataset.stream = is;
}

let tries = 0;
function connect() {
  const stream = new EventSource('v1/events');
  stream.addEventListener('status', event => {
    status = JSON.parse(event.data);
    [heard, tries, skew] = [Date.now(), 0, status.server.now - Date.now() / 1000];
    count(status);
    tell('live', 'live');
    draw();
    foresee();
  });
  stream.onerror = () => {
    stream.close();
    tell('lost', status ? `no connection, as of ${clock(status.server.now)}` : 'no connection');
    setTimeout(connect, RETRY[Math.min(tries++, RETRY.length - 1)]);
  };
}

setInterval(() => {
  if (document.body.dataset.stream === 'live' && Date.now() - heard > QUIET_AFTER) tell('waiting', `no news since ${clock(heard / 1000)}`);
  draw();
}, 1000);

// ---- the keyboard

document.addEventListener('keydown', event => {
  if (event.key === '/' && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) { event.preventDefault(); $('words').focus(); }
  if (event.key === 'Escape' && document.activeElement === $('words')) { $('words').value = ''; draw(); $('words').blur(); }
  if (['ArrowDown', 'ArrowUp'].includes(event.key) && document.activeElement.matches('.member > summary')) {
    const rows = [...document.querySelectorAll('.member > summary')], step = event.key === 'ArrowDown' ? 1 : -1;
    rows[rows.indexOf(document.activeElement) + step]?.focus();
    event.preventDefault();
  }
});
$('filter').addEventListener('submit', event => event.preventDefault());
$('words').addEventListener('input', draw);
$('trouble').addEventListener('change', draw);

begin(draw);
connect();
